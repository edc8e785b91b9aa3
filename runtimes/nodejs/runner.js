'use strict';

// Runs Node.js actions: node runner.js RESULT_LIMIT, a number of bytes. It answers as OpenWhisk's Node image does;
// the frames that carry the answers are in docs/reference/frames.md.

const { environment, setOfRun } = require('./environment.js');
const { open, TYPE } = require('./frames.js');
const { load } = require('./load.js');
const { serialize } = require('./serialize.js');
require('./interfaces.js');

const { parse, stringify } = JSON;
const { keys } = Object;
const print = console.error;
const uncurry = Function.prototype.bind.bind(Function.prototype.call);
const then = uncurry(Promise.prototype.then);
const resolve = Promise.resolve.bind(Promise);
const settled = resolve();

const NOT_OK = 1;
const INTERNAL_ERROR = 'Internal error.';
const TURNS = 5;

let status = 'new'; // new, loading, ready, running, stopped
let afterRun = 'ready'; // the status after a run: new while a stem cell is primed
let turns = 0; // turns that are left before the outcome is looked at
let look = null;
let outcome;
const runner = { userScriptMain: null }; // it is `this` in the function of an action

const answer = open(Number(process.argv[2]), stringify({ family: 'nodejs', version: process.versions.node }), receive);
for (const file of keys(require.cache)) {
  delete require.cache[file]; // user code is to find only its own modules there
}

blocking('stdout');
blocking('stderr');
delete environment.NODE_PATH; // node has read it, and user code is not to see it
process.argv.length = 2;

function receive(type, text) {
  if (type === TYPE.run) {
    run(parse(text));
  } else if (type === TYPE.init) {
    initialize(parse(text).value ?? {});
  } else if (type === TYPE.prime) {
    prime(text);
  } else {
    process.reallyExit(1);
  }
}

/**
 * Makes an output stream block: otherwise Node queues output that a full pipe does not take, and the answer could be sent
 * before it. This happens when the stream is first used, because making it costs a millisecond.
 */
function blocking(name) {
  const original = Object.getOwnPropertyDescriptor(process, name);
  Object.defineProperty(process, name, {
    ...original,
    get() {
      Object.defineProperty(process, name, original);
      const stream = process[name];
      stream._handle?.setBlocking?.(true);
      stream.unref?.();
      return stream;
    },
  });
}

function refuse(words) {
  answer(NOT_OK, stringify({ error: words }));
}

function initialize(init) {
  if (status === 'ready') {
    print('Cannot initialize the action more than once.');
    return refuse('Cannot initialize the action more than once.');
  }

  if (status !== 'new') {
    return refuse(`System not ready, status is ${status}.`);
  }

  const name = init.main ?? 'main';
  if (typeof init.code !== 'string' || init.code === '' || typeof name !== 'string' || name === '') {
    return refuse('Missing main/no code to execute.');
  }

  status = 'loading';
  for (const variable of keys(init.env ?? {})) {
    const value = init.env[variable];
    environment[variable] = typeof value === 'string' ? value : value ? (typeof value === 'object' ? stringify(value) : `${value}`) : '';
  }

  try {
    const loaded = load({ code: init.code, binary: init.binary === true, main: name });
    if (typeof loaded === 'function') {
      initialized(loaded);
    } else {
      loaded.then(initialized, failedToLoad);
    }
  } catch (error) {
    failedToLoad(error);
  }
}

function initialized(loaded) {
  runner.userScriptMain = loaded;
  afterRun = 'ready';
  status = 'ready';
  answer(0, '');
}

function failedToLoad(error) {
  status = 'stopped';
  print('Error during initialization:', error);
  let shown = error;
  try {
    shown = error.stack || error;
  } catch {
    return refuse(INTERNAL_ERROR); // null and undefined have no stack to ask for
  }

  refuseFor('Initialization has failed due to: ', shown);
}

function run(message) {
  if (status !== 'ready') {
    return refuse(status === 'new' ? 'System not initialized.' : `System not ready, status is ${status}.`);
  }

  const value = message.value ?? {};
  if (typeof value !== 'object') {
    return refuse(`Internal system error: the argument must be a dictionary but has type '${typeof value}'.`);
  }

  setOfRun(message);
  status = 'running';
  settle(value);
}

/**
 * Looks at the outcome only after as many turns of the microtask queue as OpenWhisk's runner takes: work that the code left there, or
 * for the next tick, is still a part of its run. The turns are chained by hand, because an `await` makes five times as many objects.
 */
function settle(value) {
  let result;
  try {
    result = runner.userScriptMain(value);
  } catch (error) {
    return afterTurns(thrown, error);
  }

  try {
    then(resolve(result), fulfilled, rejected);
  } catch (reason) {
    rejected(reason); // the result is a promise that cannot be asked, such as one whose `constructor` throws
  }
}

function fulfilled(result) {
  afterTurns(finish, result);
}

function rejected(reason) {
  afterTurns(refused, reason);
}

function afterTurns(next, of) {
  turns = TURNS;
  look = next;
  outcome = of;
  nextTurn();
}

function nextTurn() {
  if (turns-- > 0) {
    then(settled, nextTurn);
    return;
  }

  const of = outcome;
  outcome = undefined; // keeps no large result alive
  look(of);
}

function thrown(error) {
  status = 'stopped';
  print(error);
  refuseFor('An error has occurred: ', error);
}

function refused(reason) {
  finish({ error: reasonOf(reason) });
}

function reasonOf(reason) {
  try {
    return reason ? serialize(reason) : {};
  } catch (failure) {
    return failure.message;
  }
}

function finish(result) {
  status = afterRun;
  if (result === undefined) {
    return answer(0, '{}');
  }

  if (typeof result !== 'object') {
    print(`Result must be of type object but has type "${typeof result}":`, result);
    return refuse('The action did not return a dictionary.');
  }

  let text;
  try {
    text = stringify(result) ?? '';
  } catch {
    return refuse(INTERNAL_ERROR); // cycles, BigInt, a toJSON that throws
  }

  answer(0, text);
}

/** Answers with words and the thrown value; some values cannot be turned into text. */
function refuseFor(words, error) {
  let text;
  try {
    text = `${words}${error}`;
  } catch {
    text = INTERNAL_ERROR;
  }

  refuse(text);
}

/** Makes one dummy init and run in a stem cell: they warm the code on their way and leave no trace that user code could see. */
function prime(text) {
  const before = keys(environment);
  const code = 'async function later(a) { return a; }\nfunction main(a) { return a.later ? later(a) : a; }';
  runner.userScriptMain = load({ code, binary: false, main: 'main' });
  process.stdout.write('');
  process.stderr.write('');
  status = 'ready';
  afterRun = 'new'; // also when the dummy's promise is fulfilled only later
  run(parse(text));
  runner.userScriptMain = null;
  for (const variable of keys(environment)) {
    if (!before.includes(variable)) {
      delete environment[variable];
    }
  }
}
