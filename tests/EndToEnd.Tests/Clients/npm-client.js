// A session with the npm client 'openwhisk': node npm-client.js APIHOST KEY. Ends with 0 when everything was as expected.
'use strict';
const assert = require('assert');
const openwhisk = require('openwhisk');
const ow = openwhisk({apihost: process.argv[2], api_key: process.argv[3]});

async function refused(promise, status) {
  const problem = await promise.then(() => null, error => error);
  assert(problem, 'this should have been refused');
  assert.strictEqual(problem.statusCode, status, problem.message);
}

async function main() {
  const made = await ow.actions.create({name: 'hello', action: 'function main(a) { console.log("hi"); return {greeting: "hello " + a.name}; }'});
  assert.strictEqual(made.name, 'hello');
  await refused(ow.actions.create({name: 'hello', action: 'function main() {}'}), 409);
  assert.deepStrictEqual(await ow.actions.invoke({name: 'hello', blocking: true, result: true, params: {name: 'Ada'}}), {greeting: 'hello Ada'});
  const record = await ow.actions.invoke({name: 'hello', blocking: true, params: {name: 'Bo'}});
  assert.strictEqual(record.response.status, 'success');

  const kept = await ow.activations.get({name: record.activationId});
  assert.deepStrictEqual(kept.response.result, {greeting: 'hello Bo'});
  const logs = await ow.activations.logs({activationId: record.activationId});
  assert(/stdout: hi$/.test(logs.logs[0]), JSON.stringify(logs));
  assert((await ow.activations.list()).some(entry => entry.activationId === record.activationId));

  await ow.packages.update({name: 'tools', package: {parameters: [{key: 'name', value: 'from the package'}]}});
  await ow.actions.update({name: 'tools/hello', action: 'def main(args):\n    return {"greeting": args["name"]}\n', kind: 'python:3.11'});
  assert.deepStrictEqual(await ow.actions.invoke({name: 'tools/hello', blocking: true, result: true}), {greeting: 'from the package'});

  await ow.triggers.create({name: 'bell'});
  await ow.rules.create({name: 'ring', action: 'hello', trigger: 'bell'});
  const fired = await ow.triggers.invoke({name: 'bell', params: {name: 'Cy'}});
  const trigger = await ow.activations.get({name: fired.activationId});
  const line = JSON.parse(trigger.logs[0]);
  assert.strictEqual(line.success, true, trigger.logs[0]);
  await ow.rules.disable({name: 'ring'});
  assert.strictEqual((await ow.rules.get({name: 'ring'})).status, 'inactive');

  await ow.rules.delete({name: 'ring'});
  await ow.triggers.delete({name: 'bell'});
  await ow.actions.delete({name: 'tools/hello'});
  await ow.packages.delete({name: 'tools'});
  await ow.actions.delete({name: 'hello'});
  await refused(ow.actions.get({name: 'hello'}), 404);
  assert.deepStrictEqual(await ow.namespaces.list(), ['guest']);
}

main().catch(problem => {
  console.error(problem);
  process.exit(1);
});
