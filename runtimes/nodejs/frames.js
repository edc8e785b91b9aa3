'use strict';

// The channel to the host: it receives frames, and sends one result frame for each. The format is in docs/reference/frames.md.
// All functions that handle a frame are captured here, before any user code is loaded, so that code which replaces
// built-ins (a polyfill, or worse) changes its own results at most.

const { writeSync } = require('fs');
const { Socket } = require('net');

const uncurry = Function.prototype.bind.bind(Function.prototype.call);
const utf8Slice = uncurry(Buffer.prototype.utf8Slice);
const utf8Write = uncurry(Buffer.prototype.utf8Write);
const subarray = uncurry(Uint8Array.prototype.subarray);
const setBytes = uncurry(Uint8Array.prototype.set);
const encodeInto = uncurry(TextEncoder.prototype.encodeInto);
const codePointAt = uncurry(String.prototype.codePointAt);
const { fromCodePoint } = String;
const encoder = new TextEncoder();
const { byteLength, alloc, allocUnsafeSlow } = Buffer;
const { wait } = Atomics;
const nobody = new Int32Array(new SharedArrayBuffer(4));
const exit = process.reallyExit.bind(process);

// Node sets close-on-exec on the descriptors that it inherits, so that its child processes do not get these two.
const REQUESTS = 3;
const ANSWERS = 4;

const HEADER = 24;
const VERSION = 1;
const TYPE = { hello: 1, init: 2, run: 3, result: 4, truncated: 5, prime: 6 };

// Most frames fit in one read and one write of this size; V8 writes at most three bytes for each UTF-16 unit.
const CHUNK = 64 * 1024;
const SMALL = Math.floor((CHUNK - HEADER) / 3);

// The host sends no longer payload: 48 MiB of code, escaped in JSON, and the environment.
const MAX_PAYLOAD = 128 * 1024 * 1024;

// The path of most calls is short and makes few objects (docs/decisions/0006-short-runs-in-cold-processes.md). So headers are read and
// written in words (the processors that Frusta runs on are little-endian, as frames are), and the two buffers that are used again and
// again have their methods as members of their own.

/** Says hello; `receive(type, payloadText)` is called for each frame, and answers it exactly once through `answer`. */
function open(resultLimit, hello, receive) {
  const out = alloc(CHUNK); // zeroed, because the hello is sent with its first bytes as the id
  const incoming = allocUnsafeSlow(CHUNK);
  const wordsOut = new Int32Array(out.buffer);
  const wordsIn = new Int32Array(incoming.buffer);
  incoming.utf8Slice = Buffer.prototype.utf8Slice;
  out.utf8Write = Buffer.prototype.utf8Write;
  let partial = null; // a frame that did not come in one piece
  let have = 0;

  const requests = new Socket({ fd: REQUESTS, writable: false, onread: { buffer: incoming, callback: onRead } });
  requests.on('error', () => exit(1));
  requests.on('close', () => exit(0));
  send(TYPE.hello, 0, hello);

  function onRead(count, buffer) {
    let at = 0;
    while (at < count) {
      const word = at >> 2;
      if (partial === null && count - at >= HEADER && word << 2 === at) {
        const length = wordsIn[word] >>> 0;
        if (count - at - HEADER >= length) {
          wordsOut[2] = wordsIn[word + 2];
          wordsOut[3] = wordsIn[word + 3];
          wordsOut[4] = wordsIn[word + 4];
          wordsOut[5] = wordsIn[word + 5];
          const end = at + HEADER + length;
          receive((wordsIn[word + 1] >> 8) & 0xff, incoming.utf8Slice(at + HEADER, end));
          at = end;
          continue;
        }
      }

      at += gather(subarray(buffer, at, count));
    }

    return true;
  }

  /** Takes the bytes of the frame under way, hands the frame on when it is complete, and returns their number. */
  function gather(bytes) {
    partial ??= allocUnsafeSlow(HEADER);
    let wanted = have < HEADER ? HEADER : HEADER + lengthAt(partial, 0);
    const take = Math.min(wanted - have, bytes.length);
    setBytes(partial, subarray(bytes, 0, take), have);
    have += take;
    if (have === HEADER && partial.length === HEADER) {
      const grown = allocUnsafeSlow(HEADER + lengthAt(partial, 0));
      setBytes(grown, partial, 0);
      partial = grown;
      wanted = grown.length;
    }

    if (have === wanted && have >= HEADER && have === partial.length) {
      const frame = partial;
      partial = null;
      have = 0;
      setBytes(out, subarray(frame, 8, HEADER), 8);
      receive(frame[5], utf8Slice(frame, HEADER, frame.length));
    }

    return take;
  }

  function lengthAt(buffer, at) {
    const length = buffer[at] + buffer[at + 1] * 0x100 + buffer[at + 2] * 0x10000 + buffer[at + 3] * 0x1000000;
    if (length > MAX_PAYLOAD) {
      exit(1);
    }

    return length;
  }

  /** Answers the frame under way: `flags` is 0 where an HTTP runtime answers with status 200, and 1 for another status. */
  function answer(flags, text) {
    send(TYPE.result, flags, text);
  }

  function send(type, flags, text) {
    if (text.length <= SMALL) {
      const length = out.utf8Write(text, HEADER);
      if (length <= resultLimit) {
        wordsOut[0] = length;
        wordsOut[1] = VERSION | (type << 8) | (flags << 16);
        write(out, HEADER + length);
        return;
      }
    }

    const length = byteLength(text);
    if (length <= resultLimit) {
      const frame = allocUnsafeSlow(HEADER + length);
      setBytes(frame, subarray(out, 8, HEADER), 8);
      utf8Write(frame, text, HEADER);
      header(frame, length, type, flags);
      write(frame, frame.length);
      return;
    }

    // Over the limit: a truncated result has the length of the whole text, and its bytes up to the limit, even if that cuts a character.
    const frame = allocUnsafeSlow(HEADER + 8 + resultLimit);
    setBytes(frame, subarray(out, 8, HEADER), 8);
    const { read, written } = encodeInto(encoder, text, subarray(frame, HEADER + 8));
    if (written < resultLimit) {
      const next = allocUnsafeSlow(4);
      utf8Write(next, fromCodePoint(codePointAt(text, read)), 0);
      setBytes(frame, subarray(next, 0, resultLimit - written), HEADER + 8 + written);
    }

    number(frame, HEADER, length % 0x100000000);
    number(frame, HEADER + 4, Math.floor(length / 0x100000000));
    header(frame, 8 + resultLimit, TYPE.truncated, flags);
    write(frame, frame.length);
  }

  function header(frame, length, type, flags) {
    number(frame, 0, length);
    frame[4] = VERSION;
    frame[5] = type;
    frame[6] = flags;
    frame[7] = 0;
  }

  function number(frame, at, value) {
    frame[at] = value;
    frame[at + 1] = value >>> 8;
    frame[at + 2] = value >>> 16;
    frame[at + 3] = value >>> 24;
  }

  // One system call instead of a stream's machinery. It waits while the pipe is full, which is short: the host reads at once.
  function write(frame, length) {
    let written = 0;
    while (written < length) {
      try {
        written += writeSync(ANSWERS, frame, written, length - written);
      } catch (error) {
        if (error.code !== 'EAGAIN') {
          exit(1);
        }

        wait(nobody, 0, 0, 1); // user code made the pipe non-blocking
      }
    }
  }

  return answer;
}

module.exports = { open, TYPE };
