'use strict';

// Turns what /init brings into the function to call: source text is evaluated as the body of a function, archives are
// unpacked and required. What is thrown here reaches the user as "Initialization has failed due to: ...".

const { createRequire } = require('module');
const path = require('path');

const evaluate = eval; // called by this name it evaluates in the global scope, in sloppy mode
const own = require;
let archive = null;

/** The function named by `init.main`, or a promise of it. */
function load(init) {
  return init.binary ? loadArchive(init) : loadText(init);
}

function loadText({ code, main }) {
  const lookup = /^[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*$/.test(main) ? main : 'undefined';
  // Two functions, so that user code may declare names like `module` or `require` itself.
  const define = evaluate(
    `(function (require, module, exports, __filename, __dirname) { return (function () { ${code}\n;`
    + `try { return (${lookup}); } catch { return undefined; } }).call(globalThis); })`);
  const module = { exports: {} };
  const original = module.exports;
  const folder = process.cwd();
  const local = define(createRequire(path.join(folder, 'index.js')), module, original, path.join(folder, 'index.js'), folder);
  return callable(local ?? find(module.exports, main) ?? find(original, main), main);
}

function loadArchive({ code, main }) {
  const fs = require('fs');
  archive ??= own('./archive.js');
  const folder = fs.mkdtempSync(path.join(scratch(), 'action-'));
  archive.unpack(Buffer.from(code, 'base64'), folder);
  process.chdir(folder);

  const dot = main.indexOf('.');
  const file = dot < 0 ? '' : main.slice(0, dot);
  const name = main.slice(dot + 1);
  if (name === '' || (dot >= 0 && (file === '' || file.includes('/') || file.includes('\\')))) {
    throw 'Name of main function is not valid.';
  }

  const described = fs.existsSync(path.join(folder, 'package.json'));
  if (dot < 0 && !described && !fs.existsSync(path.join(folder, 'index.js'))) {
    throw 'Zipped actions must contain either package.json or index.js at the root.';
  }

  if (described && (process.env.OW_ENABLE_INIT_INSTALL ?? 'true') === 'true') {
    install(fs, folder);
  }

  const target = path.join(folder, file);
  const requireHere = createRequire(path.join(folder, 'index.js'));
  try {
    return callable(find(requireHere(target), name), main);
  } catch (error) {
    if (error?.code !== 'ERR_REQUIRE_ESM') {
      throw error;
    }

    return import(requireHere.resolve(target)).then(module => callable(find(module, name) ?? find(module.default, name), main));
  }
}

/** Where the sandbox may write: its own folder where it starts in one. */
function scratch() {
  const here = process.cwd();
  return process.env.TMPDIR || (here === '/' ? '/tmp' : here);
}

/** Fetches the dependencies of a package that came without them. Its failure shows when the module is not found. */
function install(fs, folder) {
  const { dependencies } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  if (dependencies && Object.keys(dependencies).length > 0 && !fs.existsSync(path.join(folder, 'node_modules'))) {
    require('child_process').spawnSync('npm', ['install', '--omit=dev', '--fetch-retries=0', '--no-audit', '--no-fund'], { cwd: folder });
  }
}

function find(object, name) {
  let found = object;
  for (const part of name.split('.')) {
    found = found?.[part];
  }

  return found;
}

function callable(value, main) {
  if (typeof value !== 'function') {
    throw `Action entrypoint '${main}' is not a function.`;
  }

  return value;
}

module.exports = { load };
