// Preloaded into JSII's Node.js process: @cdktf/provider-aws loads each of its 2,100 resource modules
// when it is first used. Its index requires them all at once, which takes longer than a whole synth.
// Where the index looks different than expected it is loaded as it is.
'use strict';

const fs = require('fs');
const { _extensions: loaders } = require('module');

// Ctrl-C reaches this process too. It ends when the Python process closes its input, which may be at work.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

const INDEX = /[\\/]@cdktf[\\/]provider-aws[\\/]lib[\\/]index\.js$/;
const EAGER = /^exports\.(\w+) = require\((['"][^'"]+['"])\);$/gm;

const load = loaders['.js'];

loaders['.js'] = (module, filename) => {
  if (!INDEX.test(filename)) {
    load(module, filename);
    return;
  }
  const index = fs.readFileSync(filename, 'utf8').replace(
    EAGER,
    (_, name, path) =>
      `Object.defineProperty(exports, '${name}', { enumerable: true, get: () => require(${path}) });`,
  );
  module._compile(index, filename);
};
