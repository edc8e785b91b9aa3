'use strict';

// process.env of an action. What differs from run to run is kept out of the environment of the process itself: setenv of the
// C library keeps every value that a variable ever had, so that a busy action would end for want of memory. Child processes
// get what process.env says; only the memory of native code, and a Worker that is not given `env: process.env`, do without.

const { defineProperty } = Object;
const { set: setOn } = Reflect;

const native = process.env;
const mirror = { ...native };

const environment = new Proxy(mirror, {
  set(target, name, value, receiver) {
    if (receiver !== environment) {
      return setOn(target, name, value, receiver);
    }

    native[name] = value; // makes text of it, or throws
    target[name] = native[name];
    return true;
  },
  defineProperty(target, name, descriptor) {
    defineProperty(native, name, descriptor);
    target[name] = native[name];
    return true;
  },
  deleteProperty(target, name) {
    delete native[name];
    return delete target[name];
  },
  preventExtensions() {
    return false; // it cannot be frozen, as the real one cannot
  },
});

process.env = environment;

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

  mirror.__OW_ACTIVATION_ID = activation_id;
  mirror.__OW_TRANSACTION_ID = transaction_id;
  mirror.__OW_DEADLINE = deadline;
}

module.exports = { environment, setOfRun };
