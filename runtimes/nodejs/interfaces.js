'use strict';

// os.networkInterfaces() of an action. Node asks the kernel by a netlink socket, which sandboxes may not open; so the answer is read
// from /proc instead. A Worker and a child process have an `os` of their own, in which the function throws.

const fs = require('fs');
const os = require('os');

const LOCAL = /\|-- ([\d.]+)\n\s+\/32 host LOCAL/g; // an address of this host in the kernel's table of routes
const ask = os.networkInterfaces;

os.networkInterfaces = function networkInterfaces() {
  try {
    return ask();
  } catch {
    return read();
  }
};

function read() {
  const lo = {};
  const others = {};
  const link = linkWithRoutes();
  for (const [, address] of fs.readFileSync('/proc/net/fib_trie', 'latin1').matchAll(LOCAL)) {
    if (address.startsWith('127.')) {
      lo.lo = [describe(address, '255.0.0.0', 8, '00:00:00:00:00:00', true)];
    } else if (link) {
      others[link] = [describe(address, '255.255.255.255', 32, hardwareAddress(address), false)];
    }
  }

  return { ...lo, ...others };
}

/** The name of the link, or undefined where there is no network: a link that is down keeps its address and loses its routes. */
function linkWithRoutes() {
  return fs.readFileSync('/proc/net/route', 'latin1').split('\n')[1]?.split('\t')[0].trim() || undefined;
}

/** The link's hardware address, which the host makes of the network address. */
function hardwareAddress(address) {
  return ['02', '42', ...address.split('.').map(part => Number(part).toString(16).padStart(2, '0'))].join(':');
}

function describe(address, netmask, prefix, mac, internal) {
  return { address, netmask, family: 'IPv4', mac, internal, cidr: `${address}/${prefix}` };
}
