// Preloaded into the Node process behind cdktf: makes a provider's index load a resource when it is first used.
// The prebuilt packages export 2,135 modules by `exports.name = require("./name")`, which costs seconds for nothing.
const { Module } = require("node:module");
const threads = require("node:worker_threads");

const PROVIDER_INDEX = /[\\/]@cdkt[fn][\\/]provider-[^\\/]+[\\/]lib[\\/]index\.js$/;
const EAGER_EXPORT = /^exports\.(\w+) = (?:__importStar\()?require\((".*?")\)\)?;$/gm;
const EMPTY_EXPORTS = /^exports\.\w+ = (?:exports\.\w+ = )*void 0;$/gm;

const compile = Module.prototype._compile;

Module.prototype._compile = function (code, file, ...rest) {
  return compile.call(this, PROVIDER_INDEX.test(file) ? lazy(code) : code, file, ...rest);
};

// An index of another shape stays as it is: slower, never wrong.
function lazy(code) {
  let found = 0;
  const getters = code.replace(EAGER_EXPORT, (_, name, path) => {
    found += 1;
    return `Object.defineProperty(exports, "${name}", { enumerable: true, get: () => require(${path}) });`;
  });
  // Assignments of undefined, written first for cyclic imports, would fail on properties that have only a getter.
  return found ? getters.replace(EMPTY_EXPORTS, "") : code;
}

// On a machine's first run jsii indexes the bindings in a worker, which saves 2 CPU seconds of every later run. A lazy
// program is over before that is done, and its end would stop the worker each time. Python gives us 5 s to end.
const workers = new Set();
const exit = process.exit;

threads.Worker = class extends threads.Worker {
  constructor(...options) {
    super(...options);
    workers.add(this.once("exit", () => workers.delete(this)));
  }
};

process.exit = (code) => {
  const ends = [...workers].map((worker) => new Promise((ended) => worker.once("exit", ended)));
  if (ends.length === 0) exit.call(process, code);
  Promise.all(ends).then(() => exit.call(process, code));
};

// cdktf 0.21 calls functions that Node is about to drop; no user can change that.
process.noDeprecation = true;
