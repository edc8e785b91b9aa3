'use strict';

// os.networkInterfaces() of an action. Node asks the kernel by a netlink socket, which sandboxes are refused; what it would have said
// is in /proc. A Worker and a child process have an `os` of their own, in which it throws.

const fs = require('fs');
const os = require('os');

const LOCAL = /\|-- ([\d.]+)\n\s+\/32 host LOCAL/g; // an address of one's own in the kernel's table of routes
const ask = os.networkInterfaces;

os.networkInterfaces = function networkInterfaces() {
  try {
    return ask();
  } catch {
    return read();
  }
};

function read() {
  const found = {};
  const link = linkWithRoutes();
  for (const [, address] of fs.readFileSync('/proc/net/fib_trie', 'latin1').matchAll(LOCAL)) {
    if (address.startsWith('127.')) {
      found.lo = [describe(address, '255.0.0.0', 8, '00:00:00:00:00:00', true)];
    } else if (link) {
      found[link] = [describe(address, '255.255.255.255', 32, hardwareAddress(address), false)];
    }
  }

  return found;
}

/** Its name, or undefined where there is no network: a link that is down keeps its address and loses its routes. */
function linkWithRoutes() {
  return fs.readFileSync('/proc/net/route', 'latin1').split('\n')[1]?.split('\t')[0].trim() || undefined;
}

/** The host makes it of the address when it makes the link. */
function hardwareAddress(address) {
  return ['02', '42', ...address.split('.').map(part => Number(part).toString(16).padStart(2, '0'))].join(':');
}

function describe(address, netmask, prefix, mac, internal) {
  return { address, netmask, family: 'IPv4', mac, internal, cidr: `${address}/${prefix}` };
}
