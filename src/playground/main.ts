import { createElement } from "react";
import { createRoot } from "react-dom/client";
import "graphiql/setup-workers/vite";
import "./styles.css";
import { Playground } from "./playground.js";

const container = document.getElementById("playground");
if (!container) throw new Error("index.html has no element with the id playground");
createRoot(container).render(createElement(Playground));
