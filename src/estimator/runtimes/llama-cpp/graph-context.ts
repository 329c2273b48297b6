import type { Architecture, Block, Multiplier, PlainTensor } from "../../architecture/architecture.js";
import { type CellCount, fullCells, streamedCells, windowCells } from "../../kv-cache/cell-counts.js";
import { describeBlockTensors } from "../../tensors/list-tensors.js";
import { GraphBuilder } from "./graph-builder.js";
import { type GraphHabits, graphHabits, isSparse, isUnrotated } from "./graph-habits.js";
import { F16, F32, type GraphNode, I32, I64 } from "./graph-node.js";
import type { RunSettings } from "./run-settings.js";

/** Elements to which rows of quantized tensors are padded on CUDA devices (ggml-cuda, MATRIX_ROW_PADDING). */
const CUDA_ROW_PADDING = 512;

/** Shapes of a block's tensors by their name within it. */
type TensorShapes = ReadonlyMap<string, readonly number[]>;

const shapesOfBlocks = new WeakMap<Block, TensorShapes>();

function tensorShapes(block: Block, hiddenSize: number): TensorShapes {
  let shapes = shapesOfBlocks.get(block);
  if (shapes === undefined) {
    shapes = new Map(describeBlockTensors(block, hiddenSize).map((tensor) => [tensor.name, tensor.shape]));
    shapesOfBlocks.set(block, shapes);
  }
  return shapes;
}

/** Inputs of one kind of cache: what rows are written where, and what each token may see. */
export interface CacheInputs {
  count: CellCount;
  /** Cells a mask row covers. */
  cells: number;
  keyRows: GraphNode;
  valueRows: GraphNode;
  mask: GraphNode;
}

/** Slots of recurrent states. */
interface StateIds {
  present: GraphNode;
  others: GraphNode;
}

/** Everything that layers share while a graph is built. */
export class GraphContext {
  readonly graph = new GraphBuilder();
  readonly tokens: number;
  /** Streams of a cache that is not unified: one per sequence. */
  readonly streams: number;
  readonly outputIds: GraphNode;
  readonly habits: GraphHabits;
  /** The delta rule of linear layers is computed chunk by chunk instead of by a fused operation. */
  chunksDelta = false;
  /** Bytes of every input by name: what the host keeps of each microbatch. */
  readonly inputBytes = new Map<string, number>();
  private readonly cacheInputs = new Map<string, CacheInputs>();
  private readonly rotations = new Map<number, GraphNode>();
  private readonly sharedNodes = new Map<string, GraphNode>();
  /** The embedding with the parts that the first layers add; null where there are none. */
  stackedEmbedding: GraphNode | null = null;
  private readonly ropeFactors = new Map<number, GraphNode>();
  private readonly ropeFactorsTensor: PlainTensor | undefined;
  private stateRows: StateIds | null = null;

  constructor(
    readonly architecture: Architecture,
    readonly run: RunSettings,
    /** Bytes of each tensor by its GGUF name; needed for those in host memory only. */
    readonly bytesOf: (tensorName: string) => number,
    /** Number of the host backend; devices come before it. */
    readonly host: number,
  ) {
    this.tokens = run.tokens;
    this.streams = run.kvUnified ? 1 : run.sequences;
    this.outputIds = this.input("output ids", I32, run.outputRows);
    this.habits = graphHabits(architecture);
    this.ropeFactorsTensor = architecture.tensors.find((tensor) => tensor.name.startsWith("rope_"));
  }

  /** An input, which starts in host memory. */
  input(name: string, elementBytes: number, ne0: number, ne1 = 1, ne2 = 1, ne3 = 1): GraphNode {
    const node = this.graph.input(elementBytes, ne0, ne1, ne2, ne3);
    this.inputBytes.set(name, node.bytes);
    return node;
  }

  /** Token ids, of which the embedding is looked up. */
  get tokenIds(): GraphNode {
    return this.shared("token ids", () => this.input("token ids", I32, this.tokens));
  }

  /** Positions of the tokens; models that rotate nothing have no such input. */
  get positions(): GraphNode {
    return this.shared("positions", () =>
      this.input("positions", I32, this.tokens * (this.habits.positionsPerToken ?? 1)),
    );
  }

  /** What queries are multiplied by as their position grows: one value per token. */
  get attentionScale(): GraphNode {
    return this.shared("attention scale", () => this.input("attention scale", F32, 1, 1, this.tokens));
  }

  /** The Hadamard matrix that keys or values are turned by before a quantized cache, of a size. */
  rotation(kind: "key" | "value", window: boolean, size: number): GraphNode {
    const key = size * 4 + (kind === "key" ? 2 : 0) + (window ? 1 : 0);
    let node = this.rotations.get(key);
    if (node === undefined) {
      node = this.input(`rotation ${key}`, F32, size, size);
      this.rotations.set(key, node);
    }
    return node;
  }

  /** The model's table of rope factors as loaded with layers on a backend; null where it has none. */
  factors(backend: number): GraphNode | null {
    if (this.ropeFactorsTensor === undefined) {
      return null;
    }
    let node = this.ropeFactors.get(backend);
    if (node === undefined) {
      const width = this.ropeFactorsTensor.shape[0] ?? 1;
      node = this.graph.weight(backend, width * F32, width);
      this.ropeFactors.set(backend, node);
    }
    return node;
  }

  /** Inputs of the full cache (`windowTokens` 0) or of one with a window. */
  inputsFor(windowTokens: number): CacheInputs {
    const count = windowTokens === 0 ? fullCells(this.run.cache) : windowCells(windowTokens, this.run.cache);
    const key = windowTokens === 0 ? "full" : "window";
    let inputs = this.cacheInputs.get(key);
    if (inputs === undefined) {
      inputs = this.makeInputs(key, count, this.run.cache.valueWidth ?? 1);
      this.cacheInputs.set(key, inputs);
    }
    return inputs;
  }

  /** Inputs of the index keys' cache, which is as long as the full one; its mask is always in half precision. */
  indexInputs(): CacheInputs {
    let inputs = this.cacheInputs.get("index");
    if (inputs === undefined) {
      inputs = this.makeInputs("index", fullCells(this.run.cache), 1, F16);
      this.cacheInputs.set("index", inputs);
    }
    return inputs;
  }

  /** Inputs of DeepSeek-V4's streams, by name. */
  streamedInputs(name: string, cells: number): CacheInputs {
    let inputs = this.cacheInputs.get(name);
    if (inputs === undefined) {
      inputs = this.makeInputs(name, { cells, streams: streamedCells(this.run.cache).streams }, 1);
      this.cacheInputs.set(name, inputs);
    }
    return inputs;
  }

  /** Which tokens of the microbatch each of them may see, where nothing is cached (encoders). */
  batchMask(window: boolean): GraphNode {
    const name = window ? "window batch mask" : "batch mask";
    const bytes = this.run.flashAttention ? F16 : F32;
    return this.shared(name, () => this.input(name, bytes, this.tokens, this.tokens));
  }

  private makeInputs(
    name: string,
    count: CellCount,
    valueRowsPerToken: number,
    maskBytes = this.run.flashAttention ? F16 : F32,
  ): CacheInputs {
    const { tokens } = this;
    return {
      count,
      cells: count.cells,
      keyRows: this.input(`${name} key rows`, I64, tokens),
      valueRows: this.input(`${name} value rows`, I64, tokens * valueRowsPerToken),
      mask: this.input(`${name} mask`, maskBytes, count.cells, Math.ceil(tokens / count.streams), 1, count.streams),
    };
  }

  /** A node that is made once for all layers. */
  shared(name: string, make: () => GraphNode): GraphNode {
    let node = this.sharedNodes.get(name);
    if (node === undefined) {
      node = make();
      this.sharedNodes.set(name, node);
    }
    return node;
  }

  /** A step of its own multiplies the embedding, or what joins the residual, by a constant. */
  multiplies(what: Multiplier): boolean {
    return this.habits.appliesMultipliers === true && this.architecture.multipliers?.includes(what) === true;
  }

  /** Which state slot belongs to which sequence: of those in the microbatch, and of the others, which are none. */
  stateIds(): StateIds {
    if (this.stateRows === null) {
      const { sequences } = this.run;
      const slots = this.input("state slots", I32, sequences);
      this.stateRows = {
        present: this.graph.view(slots, sequences, 1),
        others: this.graph.view(slots, 0, 1, 1, 1, sequences * I32),
      };
    }
    return this.stateRows;
  }
}

/** Builds one layer: knows where its weights are and which it has. */
export class LayerContext {
  readonly graph: GraphBuilder;
  /** Positions are not rotated in this layer, whatever its description says. */
  readonly isUnrotated: boolean;
  readonly isSparse: boolean;
  private readonly shapes: TensorShapes;
  private readonly weights = new Map<string, GraphNode>();

  constructor(
    readonly context: GraphContext,
    readonly block: Block,
    readonly layer: number,
    /** Backend of the layer's weights. */
    readonly backend: number,
    /** Backend of its cache. */
    readonly cacheBackend: number,
    /** Backend of its routed experts. */
    readonly expertBackend: number,
    /** Backend that the layer's first norm is told to run on; -1 when left to the scheduler. */
    readonly normBackend: number,
  ) {
    this.graph = context.graph;
    this.isUnrotated = isUnrotated(context.habits, layer);
    this.isSparse = isSparse(context.habits, layer);
    this.shapes = tensorShapes(block, context.architecture.hiddenSize);
  }

  has(name: string): boolean {
    return this.shapes.has(name);
  }

  shape(name: string): readonly number[] {
    return this.shapes.get(name) ?? [];
  }

  /** A weight of the layer: the same node wherever it is used, so that one copy of it serves all. */
  weight(name: string): GraphNode {
    let node = this.weights.get(name);
    if (node === undefined) {
      const isExpert = name.includes("_exps.");
      node = this.weightOn(name, isExpert ? this.expertBackend : this.backend);
      this.weights.set(name, node);
    }
    return node;
  }

  private weightOn(name: string, backend: number): GraphNode {
    const [ne0 = 1, ne1 = 1, ne2 = 1] = this.shape(name);
    let bytes = 0;
    if (backend === this.context.host) {
      bytes = this.context.bytesOf(`blk.${this.layer}.${name}`);
      bytes += paddingBytes(bytes, ne0, ne1 * ne2);
    }
    return this.graph.weight(backend, bytes, ne0, ne1, ne2);
  }

  /** Product with a named matrix, plus its bias where it has one. */
  project(name: string, x: GraphNode): GraphNode {
    return this.bias(name, this.graph.mulMat(this.weight(`${name}.weight`), x));
  }

  bias(name: string, x: GraphNode): GraphNode {
    return this.has(`${name}.bias`) ? this.graph.inPlace(x, this.weight(`${name}.bias`)) : x;
  }

  /** A norm with its weight and bias; `x` itself where the layer has none of that name. */
  norm(name: string, x: GraphNode, assign = false): GraphNode {
    const weight = `${name}.weight`;
    if (!this.has(weight)) {
      return x;
    }
    // A norm with a bias is LayerNorm, which ggml does not compute in place.
    const isLayerNorm = this.context.habits.layerNorm || this.has(`${name}.bias`);
    const normed = isLayerNorm ? this.graph.plain(x) : this.graph.inPlace(x);
    if (assign && this.normBackend !== -1) {
      normed.backend = this.normBackend;
    }
    return this.bias(name, this.graph.inPlace(normed, this.weight(weight)));
  }

  /** Splits a row into heads: [width, n] to [headDim, heads, n]. */
  heads(x: GraphNode, headDim: number, heads: number): GraphNode {
    return this.graph.view(x, headDim, heads, this.context.tokens);
  }

  /** A norm without a weight. */
  bareNorm(x: GraphNode): GraphNode {
    return this.graph.inPlace(x);
  }

  rope(x: GraphNode, window: boolean): GraphNode {
    const skips = window && this.context.habits.ropeFactorsInFullOnly === true;
    return this.graph.rope(x, this.context.positions, skips ? null : this.context.factors(this.backend));
  }
}

/** Bytes CUDA adds behind a quantized tensor whose rows are not whole multiples of its row padding. */
function paddingBytes(bytes: number, ne0: number, rows: number): number {
  const rest = ne0 % CUDA_ROW_PADDING;
  const rowBytes = bytes / rows;
  const isQuantized = rowBytes < F16 * ne0;
  return rest === 0 || !isQuantized ? 0 : ((CUDA_ROW_PADDING - rest) * rowBytes) / ne0;
}
