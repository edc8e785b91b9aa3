'use strict';

// process.env of an action. What differs from run to run is kept out of the environment of the process itself: setenv of the
// C library keeps every value that a variable ever had, so that a busy action would end for want of memory. Child processes
// get what process.env says; only the memory of native code, and a Worker that is not given `env: process.env`, do without.

const { defineProperty } = Object;
const { set: setOn } = Reflect;
const toUpperCase = Function.prototype.call.bind(String.prototype.toUpperCase);

const OF_ONE_RUN = { __proto__: null, activation_id: true, transaction_id: true, deadline: true };

const native = process.env;
const mirror = { ...native };
const variables = { __proto__: null }; // member of /run -> its variable; the members are few, and always the same

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

/** Sets the variable of a member of /run: `__OW_NAME`. */
function setOfRun(member, text) {
  const variable = (variables[member] ??= { name: `__OW_${toUpperCase(member)}`, ofOneRun: OF_ONE_RUN[member] === true });
  if (variable.ofOneRun) {
    mirror[variable.name] = text;
  } else if (mirror[variable.name] !== text) {
    environment[variable.name] = text;
  }
}

module.exports = { environment, setOfRun };
