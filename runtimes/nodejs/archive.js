'use strict';

// Unpacks the archives that actions come in: zip and tar.gz. Names may be hostile: an entry that would land outside
// the folder is refused, a link that leads out too, and there is a bound on the bytes and files that are unpacked.

const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

const MAX_BYTES = 512 * 1024 * 1024;
const MAX_ENTRIES = 65536;

/** Unpacks into `folder`; throws a string for the user where it cannot. */
function unpack(bytes, folder) {
  if (bytes.length > 4 && bytes.readUInt32LE(0) === 0x04034b50) {
    wrap('There was an error uncompressing the action Zip archive.', () => unzip(bytes, folder));
  } else if (bytes.length > 4 && bytes.readUIntBE(0, 3) === 0x1f8b08 && (bytes[3] === 0 || bytes[3] === 8)) {
    wrap('There was an error uncompressing the action Tar GZ archive.', () => untar(bytes, folder));
  } else {
    throw 'There was an error uncompressing the action archive. The file type is unsupported';
  }
}

/** Throws OpenWhisk's words when `work` fails, which give no reason. An archive that is refused here on purpose gets its reason too. */
function wrap(words, work) {
  try {
    work();
  } catch (error) {
    throw typeof error === 'string' ? `${words} ${error}` : words;
  }
}

function unzip(bytes, folder) {
  const end = findEnd(bytes);
  const count = bytes.readUInt16LE(end + 10);
  let at = bytes.readUInt32LE(end + 16);
  const place = new Place(folder);
  const links = [];
  for (let i = 0; i < count; i++) {
    if (bytes.readUInt32LE(at) !== 0x02014b50) {
      throw new Error('Its directory is damaged.');
    }

    const flags = bytes.readUInt16LE(at + 8);
    const method = bytes.readUInt16LE(at + 10);
    const packed = bytes.readUInt32LE(at + 20);
    const size = bytes.readUInt32LE(at + 24);
    const nameLength = bytes.readUInt16LE(at + 28);
    const mode = bytes.readUInt32LE(at + 38) >>> 16;
    const local = bytes.readUInt32LE(at + 42);
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength);
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
    if (flags & 1 || packed === 0xffffffff || size === 0xffffffff) {
      throw new Error('It is encrypted or larger than supported.');
    }

    if (name.endsWith('/')) {
      place.folder(name);
      continue;
    }

    place.count(size);
    const from = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const raw = bytes.subarray(from, from + packed);
    const content = method === 0 ? raw : method === 8 ? zlib.inflateRawSync(raw, { maxOutputLength: Math.max(size, 1) }) : null;
    if (content === null || content.length !== size) {
      throw new Error('An entry is damaged or packed in an unsupported way.');
    }

    if ((mode & 0o170000) === 0o120000) {
      links.push([name, content.toString('utf8')]);
    } else {
      place.file(name, content, mode & 0o777);
    }
  }

  links.forEach(([name, target]) => place.link(name, target));
}

function findEnd(bytes) {
  for (let at = bytes.length - 22; at >= 0 && at > bytes.length - 22 - 65536; at--) {
    if (bytes.readUInt32LE(at) === 0x06054b50) {
      return at;
    }
  }

  throw new Error('Its end is missing.');
}

function untar(bytes, folder) {
  const tar = zlib.gunzipSync(bytes, { maxOutputLength: MAX_BYTES });
  const place = new Place(folder);
  const links = [];
  let longName = null;
  let longLink = null;
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const size = octal(tar, at + 124, 12);
    const mode = octal(tar, at + 100, 8);
    const type = String.fromCharCode(tar[at + 156] || 48);
    const content = tar.subarray(at + 512, at + 512 + size);
    if (content.length !== size) {
      throw new Error('It is cut short.');
    }

    const prefix = text(tar, at + 257, 5) === 'ustar' ? text(tar, at + 345, 155) : '';
    const name = longName ?? (prefix ? `${prefix}/${text(tar, at, 100)}` : text(tar, at, 100));
    const target = longLink ?? text(tar, at + 157, 100);
    at += 512 + Math.ceil(size / 512) * 512;
    if (type === 'L' || type === 'K') {
      const long = text(content, 0, content.length);
      type === 'L' ? (longName = long) : (longLink = long);
      continue;
    }

    if (type === 'x' || type === 'g') {
      const records = pax(content);
      longName = type === 'x' ? records.path ?? longName : longName;
      longLink = type === 'x' ? records.linkpath ?? longLink : longLink;
      continue;
    }

    longName = longLink = null;
    if (type === '5') {
      place.folder(name);
    } else if (type === '0' || type === '7') {
      place.count(size);
      place.file(name, content, mode & 0o777);
    } else if (type === '2') {
      links.push([name, target]);
    }
  }

  links.forEach(([name, target]) => place.link(name, target));
}

function pax(content) {
  const records = {};
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(32, at);
    const length = parseInt(content.toString('latin1', at, space), 10);
    if (space < 0 || !(length > 0)) {
      break;
    }

    const record = content.toString('utf8', space + 1, at + length - 1);
    records[record.slice(0, record.indexOf('='))] = record.slice(record.indexOf('=') + 1);
    at += length;
  }

  return records;
}

function text(bytes, at, length) {
  const end = bytes.subarray(at, at + length).indexOf(0);
  return bytes.toString('utf8', at, at + (end < 0 ? length : end));
}

function octal(bytes, at, length) {
  const value = parseInt(text(bytes, at, length).trim() || '0', 8);
  if (!(value >= 0 && value <= MAX_BYTES)) {
    throw new Error('An entry is larger than supported.');
  }

  return value;
}

/** The folder that an archive is unpacked into. Links are made last, so that no file is written through one. */
class Place {
  constructor(folder) {
    this.root = folder;
    this.bytes = 0;
    this.entries = 0;
    this.made = new Set([folder]);
  }

  count(size) {
    this.bytes += size;
    if (this.bytes > MAX_BYTES || ++this.entries > MAX_ENTRIES) {
      throw `It holds more than ${MAX_BYTES} bytes or ${MAX_ENTRIES} files.`;
    }
  }

  inside(name) {
    const full = path.resolve(this.root, name);
    if (name.startsWith('/') || name.includes('\0') || name.split(/[\\/]/).includes('..')
      || (full !== this.root && !full.startsWith(this.root + path.sep))) {
      throw `The name '${name}' leads out of the archive.`;
    }

    return full;
  }

  folder(name) {
    this.make(this.inside(name));
  }

  make(full) {
    if (!this.made.has(full)) {
      fs.mkdirSync(full, { recursive: true });
      this.made.add(full);
    }
  }

  file(name, content, mode) {
    const full = this.inside(name);
    this.make(path.dirname(full));
    fs.writeFileSync(full, content, { mode: mode ? mode | 0o600 : 0o644 });
  }

  link(name, target) {
    const full = this.inside(name);
    const leads = path.resolve(path.dirname(full), target);
    if (path.isAbsolute(target) || (leads !== this.root && !leads.startsWith(this.root + path.sep))) {
      throw `The link '${name}' leads out of the archive.`;
    }

    this.count(0);
    this.make(path.dirname(full));
    fs.rmSync(full, { force: true });
    fs.symlinkSync(target, full);
  }
}

module.exports = { unpack };
