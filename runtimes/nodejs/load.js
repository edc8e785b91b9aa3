'use strict';

// Turns the code of an init into the function to call: source text is evaluated as the body of a function, archives are
// unpacked and required. An error that is thrown here reaches the user as "Initialization has failed due to: ...".

const fs = require('fs');
const Module = require('module');
const path = require('path');

const { createRequire } = Module;
const evaluate = eval; // under another name, eval evaluates in the global scope, in sloppy mode
const own = require;
const installs = process.env.OW_ENABLE_INIT_INSTALL !== 'false';
delete process.env.OW_ENABLE_INIT_INSTALL; // user code is not to see it
let archive = null;

/** The function named by `init.main`, or a promise of it. */
function load(init) {
  return init.binary ? loadArchive(init) : loadText(init);
}

/** `main` is an expression in the scope of the code; where the scope does not have that name, the code's exports are asked for it. */
function loadText({ code, main }) {
  // Two functions, so that user code may declare names like `module` or `require` itself.
  const define = evaluate(
    `(function (require, module, exports, __filename, __dirname, fs, path) { return (function () { ${code}\n`
    + `try { return ${main}; } catch (e) { if (e.name === 'ReferenceError') { return module.exports.${main} || exports.${main}; } throw e; } })(); })`);
  const folder = process.cwd();
  const file = path.join(folder, 'index.js');
  const module = new Module(file);
  module.filename = file;
  module.paths = Module._nodeModulePaths(folder);
  return callable(define(createRequire(file), module, module.exports, file, folder, fs, path), main);
}

function loadArchive({ code, main }) {
  archive ??= own('./archive.js');
  const folder = fs.mkdtempSync(path.join(scratch(), 'action-'));
  archive.unpack(Buffer.from(code, 'base64'), folder);
  process.chdir(folder);

  // With a dot in it, `main` is the name of a file, and behind the first dot an expression on the file's exports.
  const [, alone, file, member] = /^([^.]+)$|^([^.]+)\.(.+)$/.exec(main) ?? [];
  if (alone === undefined && file === undefined) {
    throw 'Name of main function is not valid.';
  }

  const described = fs.existsSync(path.join(folder, 'package.json'));
  if (file === undefined && !described && !fs.existsSync(path.join(folder, 'index.js'))) {
    throw 'Zipped actions must contain either package.json or index.js at the root.';
  }

  if (described) {
    install(folder);
  }

  const target = path.join(folder, file ?? '');
  const find = evaluate(`(exported) => exported.${alone ?? member}`);
  const requireHere = createRequire(path.join(folder, 'index.js'));
  try {
    return callable(find(requireHere(target)), main);
  } catch (error) {
    if (error?.code !== 'ERR_REQUIRE_ESM') {
      throw error;
    }

    return import(requireHere.resolve(target)).then(module => callable(find(module) ?? find(module.default ?? {}), main));
  }
}

/** A folder in which the sandbox may write: that in which it starts, or /tmp. */
function scratch() {
  const here = process.cwd();
  return process.env.TMPDIR || (here === '/' ? '/tmp' : here);
}

/** Reads package.json, and installs dependencies that did not come along. Where npm fails, the user sees that a module is not found. */
function install(folder) {
  const description = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  if (description.hasOwnProperty('dependencies') && installs && Object.keys(description.dependencies).length > 0 && !fs.existsSync(path.join(folder, 'node_modules'))) {
    require('child_process').spawnSync('npm', ['install', '--omit=dev', '--fetch-retries=0', '--no-audit', '--no-fund'], { cwd: folder });
  }
}

function callable(value, main) {
  if (typeof value !== 'function') {
    throw `Action entrypoint '${main}' is not a function.`;
  }

  return value;
}

module.exports = { load };
