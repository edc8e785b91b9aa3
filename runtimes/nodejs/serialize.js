'use strict';

// Turns the reason of a rejected promise into the value of {"error": ...}, as the npm package serialize-error 9 does for OpenWhisk's runner: an
// Error, which JSON would show as {}, gets its name, message, and stack besides its own members, at any depth; cycles are named instead of
// followed. Where a member throws, the caller shows that error.

const { entries } = Object;
const { isArray } = Array;
const { isBuffer } = Buffer;

const UNDER_WAY = Symbol('.toJSON was called');

function serialize(value) {
  if (typeof value === 'function') {
    return `[Function: ${value.name || 'anonymous'}]`;
  }

  return typeof value === 'object' && value !== null ? copy(value, []) : value;
}

function copy(value, above) {
  if (typeof value.toJSON === 'function' && value[UNDER_WAY] !== true) {
    value[UNDER_WAY] = true; // toJSON may itself call serialize
    const own = value.toJSON();
    delete value[UNDER_WAY];
    return own;
  }

  const result = isArray(value) ? [] : {};
  const seen = [...above, value];
  for (const [key, member] of entries(value)) {
    if (isBuffer(member)) {
      result[key] = '[object Buffer]';
    } else if (typeof member === 'object' && typeof member.pipe === 'function') { // null has no pipe: the package fails there too
      result[key] = '[object Stream]';
    } else if (typeof member === 'object') {
      result[key] = seen.includes(member) ? '[Circular]' : copy(member, seen);
    } else if (typeof member !== 'function') {
      result[key] = member;
    }
  }

  for (const key of ['name', 'message', 'stack', 'code']) {
    if (!isArray(value) && typeof value[key] === 'string') {
      result[key] = value[key];
    }
  }

  return result;
}

module.exports = { serialize };
