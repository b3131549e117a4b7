// node run.mjs DIST MODEL: runs a model in onnxruntime-web, as a browser without a GPU would, for
// export/site/node_engine.py. Messages in and out: length of a JSON head (4 bytes, little endian), the
// head, then the bytes of its tensors one after the other.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [dist, model] = process.argv.slice(2);

function read(length) {
  const buffer = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const count = fs.readSync(0, buffer, at, length - at, null);
    if (count === 0) process.exit(0);
    at += count;
  }
  return buffer;
}

function write(head, parts = []) {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  for (const part of [length, text, ...parts]) {
    for (let at = 0; at < part.length; ) at += fs.writeSync(1, part, at);
  }
}

const arrays = { float32: Float32Array, uint8: Uint8Array };

try {
  const ort = await import(pathToFileURL(path.join(dist, "ort.wasm.min.mjs")).href);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = `${pathToFileURL(dist).href}/`;
  const session = await ort.InferenceSession.create(new Uint8Array(fs.readFileSync(model)), {
    executionProviders: ["wasm"],
  });
  write({ inputs: session.inputNames, outputs: session.outputNames });
  for (;;) {
    const { tensors } = JSON.parse(read(read(4).readUInt32LE()));
    const feeds = {};
    for (const { name, dtype, dims, bytes } of tensors) {
      const data = new Uint8Array(read(bytes)).buffer;
      feeds[name] = new ort.Tensor(dtype, new arrays[dtype](data), dims);
    }
    const begun = performance.now();
    const results = await session.run(feeds);
    const ms = performance.now() - begun;
    const parts = Object.entries(results).map(([name, { type, dims, data }]) => ({
      head: { name, dtype: type, dims, bytes: data.byteLength },
      body: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    }));
    write({ ms, tensors: parts.map(({ head }) => head) }, parts.map(({ body }) => body));
  }
} catch (error) {
  write({ error: String(error?.message ?? error) });
  process.exit(1);
}
