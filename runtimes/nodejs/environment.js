'use strict';

// process.env of an action. Variables that differ from run to run are kept out of the environment of the process itself: setenv of
// the C library keeps every value that a variable ever had, so that a busy action would end for want of memory. Child processes
// get the variables of process.env; only native code, and a Worker that is not given `env: process.env`, do not see those of a run.

const { assign, defineProperty, entries, hasOwn } = Object;
const { set: setOn } = Reflect;

const own = process; // user code may give the name `process` to something else
const native = process.env;
const mirror = { ...native };

const environment = new Proxy(mirror, {
  set(target, name, value, receiver) {
    if (receiver !== environment) {
      return setOn(target, name, value, receiver);
    }

    native[name] = value; // turns the value into text, or throws
    take(name);
    return true;
  },
  defineProperty(target, name, descriptor) {
    defineProperty(native, name, descriptor);
    take(name);
    return true;
  },
  deleteProperty(target, name) {
    delete native[name];
    return delete target[name];
  },
  preventExtensions() {
    return false; // process.env cannot be frozen, as Node's own cannot
  },
});

process.env = environment;

/** Takes over a variable of the process. One that differs from run to run is deleted there, where a Worker would find that of an earlier run. */
function take(name) {
  put(name, native[name]);
  if (name === '__OW_ACTIVATION_ID' || name === '__OW_TRANSACTION_ID' || name === '__OW_DEADLINE') {
    delete native[name];
  }
}

/** Sets a member of the mirror itself, also where it inherits one of that name. */
function put(name, value) {
  if (hasOwn(mirror, name)) {
    mirror[name] = value;
  } else {
    defineProperty(mirror, name, { value, writable: true, enumerable: true, configurable: true });
  }
}

/** Sets the variables of a run. They are named one by one: see frames.js. */
function setOfRun({ namespace, action_name, action_version, api_key, activation_id, transaction_id, deadline }) {
  if (mirror.__OW_NAMESPACE !== namespace) {
    environment.__OW_NAMESPACE = namespace;
  }

  if (mirror.__OW_ACTION_NAME !== action_name) {
    environment.__OW_ACTION_NAME = action_name;
  }

  if (mirror.__OW_ACTION_VERSION !== action_version) {
    environment.__OW_ACTION_VERSION = action_version;
  }

  if (api_key !== undefined && mirror.__OW_API_KEY !== api_key) {
    environment.__OW_API_KEY = api_key;
  }

  put('__OW_ACTIVATION_ID', activation_id);
  put('__OW_TRANSACTION_ID', transaction_id);
  put('__OW_DEADLINE', deadline);
  if (!isReadHere()) {
    setWhereItIsRead();
  }
}

/** True when code that reads `process.env` gets this environment. */
function isReadHere() {
  try {
    return own.env === environment && globalThis.process === own;
  } catch {
    return false;
  }
}

/** Sets the variables of a run where user code has replaced process.env, or process. */
function setWhereItIsRead() {
  const values = {};
  for (const [name, value] of entries(mirror)) {
    if (name.startsWith('__OW_') && value !== undefined) {
      values[name] = value;
    }
  }

  setIn(own, values);
  const named = globalThis.process;
  if (named !== own && named !== null && typeof named === 'object') {
    setIn(named, values);
  }
}

/** Sets the values in the environment of `holder` if it takes them, else in a copy of it, and else puts this environment in its place. */
function setIn(holder, values) {
  const ways = [
    () => assign(holder.env, values),
    () => replaceIn(holder, { ...holder.env, ...values }),
    () => replaceIn(holder, environment),
  ];
  for (const way of ways) {
    try {
      way();
      const seen = holder.env;
      if (entries(values).every(([name, value]) => seen[name] === value)) {
        return;
      }
    } catch {
      // Try the next way. Where code has made process.env read-only for good, none works.
    }
  }
}

function replaceIn(holder, value) {
  defineProperty(holder, 'env', { value, writable: true, enumerable: true, configurable: true });
}

module.exports = { environment, setOfRun };
