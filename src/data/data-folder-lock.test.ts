import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startProcess, type TestProcess } from "../../test/setup/processes/start-process.js";
import { lockDataFolder } from "./data-folder-lock.js";

let folder: string;
let processes: TestProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vramql-lock-"));
  processes = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.kill()));
  await rm(folder, { recursive: true, force: true });
});

function hold(...args: string[]): TestProcess {
  const process = startProcess("hold-folder.ts", args);
  processes.push(process);
  return process;
}

describe("lockDataFolder", () => {
  it("refuses a second holder and names the first", async () => {
    const first = hold(folder);
    await first.waitFor("held");
    await expect(lockDataFolder(folder)).rejects.toMatchObject({
      problem: "FOLDER_IN_USE",
      message: expect.stringMatching(
        new RegExp(
          `in use by another server \\(process ${first.child.pid} on ${hostname()}, since \\d{4}-\\d\\d-\\d\\dT`,
        ),
      ),
    });
  });

  it("lets the next one in at once after a kill", async () => {
    for (let round = 0; round < 3; round++) {
      const holder = hold(folder);
      await holder.waitFor("held");
      await holder.kill();
      const startedAt = performance.now();
      const lock = await lockDataFolder(folder);
      expect(performance.now() - startedAt).toBeLessThan(500);
      await lock.release();
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it("is refused by a holder that is too busy to answer, and says its process", async () => {
    const holder = hold(folder, "busy");
    await holder.waitFor("held");
    await expect(lockDataFolder(folder)).rejects.toThrow(`process ${holder.child.pid} on`);
  });

  it("is refused by a holder that is stopped", async () => {
    const holder = hold(folder);
    await holder.waitFor("held");
    holder.child.kill("SIGSTOP");
    await expect(lockDataFolder(folder)).rejects.toThrow(`process ${holder.child.pid} on`);
    holder.child.kill("SIGCONT");
  });

  it("lets exactly one of several in that start at once", async () => {
    for (let round = 0; round < 5; round++) {
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataFolder(folder)));
      const held = results.filter((result) => result.status === "fulfilled");
      expect(held).toHaveLength(1);
      await held[0]?.value.release();
    }
  });

  it("lets exactly one of several processes in that start at once", async () => {
    const starters = Array.from({ length: 4 }, () => hold(folder));
    const lines = await Promise.all(
      starters.map((starter) => Promise.race([starter.waitFor("held"), starter.waitFor("refused")].map(ignoreEnd))),
    );
    expect(lines.filter((line) => line === "held")).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith("refused"))).toHaveLength(3);
  });

  it("is taken again after a release, and by another path to the same folder", async () => {
    const lock = await lockDataFolder(folder);
    await expect(lockDataFolder(join(folder, "..", folder.split("/").at(-1) ?? ""))).rejects.toThrow("in use");
    await lock.release();
    await (await lockDataFolder(folder)).release();
  });

  it("works where the path is longer than a socket's may be", async () => {
    const deep = join(folder, "d".repeat(120), "e".repeat(120));
    await mkdir(deep, { recursive: true });
    const holder = hold(deep);
    await holder.waitFor("held");
    await expect(lockDataFolder(deep)).rejects.toThrow(`process ${holder.child.pid} on`);
    await holder.kill();
    await (await lockDataFolder(deep)).release();
  });

  it("takes no notice of files of other names, and of a lock that is no socket", async () => {
    await writeFile(join(folder, "admin-token"), "secret");
    await writeFile(join(folder, "lock-1-0badcafe.sock"), "");
    const lock = await lockDataFolder(folder);
    await lock.release();
    expect(await readdir(folder)).toContain("admin-token");
  });

  it("says what to do where no lock can be made", async () => {
    await expect(lockDataFolder(join(folder, "missing"))).rejects.toMatchObject({
      problem: "FOLDER_NOT_WRITABLE",
      message: expect.stringContaining("DATA_DIR"),
    });
  });
});

/** A process that prints one line and not the other never settles the other's wait. */
function ignoreEnd(line: Promise<string>): Promise<string> {
  return line.catch(() => new Promise(() => {}));
}
