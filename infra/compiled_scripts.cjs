// Keeps what V8 compiled of the scripts of a synth in one file, so that the next one does not compile them.
// V8 refuses code of another version of itself; then, or where a script is new, the file is written again.
'use strict';

const { createHash } = require('crypto');
const fs = require('fs');
const Module = require('module');
const path = require('path');
const v8 = require('v8');
const vm = require('vm');

const read = (file) => {
  try {
    return v8.deserialize(fs.readFileSync(file));
  } catch {
    return new Map();
  }
};

const write = (file, code) => {
  // Another process may write it, and this one may be killed.
  const draft = `${file}.${process.pid}`;
  try {
    fs.writeFileSync(draft, v8.serialize(code));
    fs.renameSync(draft, file);
  } catch {
    fs.rmSync(draft, { force: true });
  }
};

exports.keep = (file) => {
  const code = read(file);
  const scripts = new Map();
  let isNew = false;

  Module.prototype._compile = function (source, filename) {
    const key = createHash('sha256').update(source).digest('base64');
    const cachedData = code.get(key);
    const script = new vm.Script(Module.wrap(source), { filename, cachedData });
    isNew ||= script.cachedDataRejected !== false;
    scripts.set(key, script);
    const values = [this.exports, Module.createRequire(filename), this, filename, path.dirname(filename)];
    return Reflect.apply(script.runInThisContext(), this.exports, values);
  };

  // At the end, because V8 compiles a function when it is called first.
  process.on('exit', () => {
    if (!isNew) return;
    for (const [key, script] of scripts) code.set(key, script.createCachedData());
    write(file, code);
  });
};
