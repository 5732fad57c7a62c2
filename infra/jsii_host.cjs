// Preloaded into JSII's Node.js process. JSII starts a launcher that starts the program in a second process
// and passes each message on; here the program takes the launcher's place. Packages that CDKTF loads at its
// start, and uses for folders as assets and for local modules only, are loaded when they are first used.
// A JSII of another layout runs unchanged.
'use strict';

const fs = require('fs');
const Module = require('module');
const path = require('path');
const { Writable } = require('stream');

const LAUNCHER = /[\\/]bin[\\/]jsii-runtime\.js$/;
// Where the program reads and writes messages: a socket that the launcher connects to its standard streams.
const MESSAGES = 3;
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
// CDKTF notes where each token was made, for its error messages: lines of JSII, not of the Python program.
const TRACES = /[\\/]cdktf[\\/]lib[\\/]tokens[\\/]private[\\/]stack-trace\.js$/;
const RARELY_USED = new Set(['archiver', 'semver']);

const { SYNTH_COMPILED_SCRIPTS: compiled } = process.env;
if (compiled) require('./compiled_scripts.cjs').keep(compiled);

// Ctrl-C reaches this process too. It ends when the Python process closes its input, which may be at work.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

const { _load: loadNow, _extensions: loaders } = Module;
const loadFile = loaders['.js'];

Module._load = (name, parent, isMain) => {
  if (!RARELY_USED.has(name)) return loadNow(name, parent, isMain);
  const load = () => loadNow(name, parent, isMain);
  return new Proxy(() => {}, {
    get: (_, property) => load()[property],
    apply: (_, self, values) => Reflect.apply(load(), self, values),
  });
};

loaders['.js'] = (module, filename) => {
  if (TRACES.test(filename)) {
    module.exports = { captureStackTrace: () => [] };
    return;
  }
  const program = path.join(path.dirname(filename), '..', 'lib', 'program.js');
  if (!LAUNCHER.test(filename) || !fs.existsSync(program)) {
    loadFile(module, filename);
    return;
  }
  const { readSync, writeSync } = fs;
  fs.readSync = (file, ...rest) => readSync(file === MESSAGES ? STDIN : file, ...rest);
  fs.writeSync = (file, ...rest) => writeSync(file === MESSAGES ? STDOUT : file, ...rest);
  // What else is printed must not get between the messages: it goes to the Python process as the launcher
  // sends it.
  for (const name of ['stdout', 'stderr']) {
    const write = (data, encoding, done) => {
      writeSync(STDERR, `${JSON.stringify({ [name]: data.toString('base64') })}\n`);
      done();
    };
    Object.defineProperty(process, name, { value: new Writable({ write }) });
  }
  // The program links packages from its cache only where it finds this option; it would copy them.
  process.execArgv.push('--preserve-symlinks');
  module.require(program);
};
