'use strict';

// What a rejected promise becomes in {"error": ...}: an Error, which JSON would show as {}, gets its name, message, and
// stack besides its own members, at any depth; cycles are named instead of followed.

const { keys } = Object;
const { isArray } = Array;

function serialize(value) {
  if (typeof value === 'function') {
    return `[Function: ${value.name || 'anonymous'}]`;
  }

  return typeof value === 'object' && value !== null ? copy(value, []) : value;
}

function copy(value, above) {
  const result = isArray(value) ? [] : {};
  for (const key of keys(value)) {
    const member = value[key];
    if (typeof member === 'function') {
      continue;
    }

    if (typeof member !== 'object' || member === null || typeof member.toJSON === 'function') {
      result[key] = member;
    } else {
      result[key] = member === value || above.includes(member) ? '[Circular]' : copy(member, [...above, value]);
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
