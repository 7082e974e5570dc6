// The AWS SDK for JavaScript against a seeded server: every command class that it has, its paginators, its classes of errors.
//
// `LESTRADE_CLIENT` says where its packages are.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const assert = require("node:assert/strict");
const { createRequire } = require("node:module");

const sdk = createRequire(join(process.env.LESTRADE_CLIENT, "package.json"))("@aws-sdk/client-inspector2");
const facts = JSON.parse(readFileSync(process.env.LESTRADE_FACTS));
const rows = JSON.parse(readFileSync(join(__dirname, "..", "requests.json")));
const known = { ...facts };

function client(role) {
  const [accessKeyId, secretAccessKey] = facts.keys[role];
  const { endpoint, region } = facts;
  return new sdk.Inspector2Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 });
}

// A value of the table with its names replaced; what is a blob on the wire is bytes here.
function filled(value, name) {
  if (name === "cisRuleDetails") return Buffer.from(value, "base64");
  if (typeof value === "string") return value.replace(/\{(\w+)\}/g, (_, name) => known[name]);
  if (Array.isArray(value)) return value.map((inner) => filled(inner));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, filled(inner, name)]));
  }
  return value;
}

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail("it was answered");
}

async function everyCommand(admin) {
  const asked = new Set();
  for (const row of rows) {
    const Command = sdk[`${row.operation}Command`];
    if (Command === undefined) continue;
    asked.add(`${row.operation}Command`);
    const sent = admin.send(new Command(filled(row.with)));
    if (row.answers !== undefined) {
      const error = await refused(sent);
      assert(error instanceof sdk[row.answers], `${row.operation}: ${error}`);
      assert(error instanceof sdk.Inspector2ServiceException && error.message.length > 0);
      assert.equal(error.$fault, "client");
      continue;
    }
    const answer = await sent.catch((error) => assert.fail(`${row.operation}: ${error}`));
    assert.equal(answer.$metadata.httpStatusCode, 200);
    assert(answer.$metadata.requestId, `${row.operation}: an answer has no id`);
    for (const [name, path] of Object.entries(row.keep ?? {})) {
      known[name] = path.split(".").reduce((inner, step) => inner[step], answer);
    }
  }
  const commands = Object.keys(sdk).filter((name) => name.endsWith("Command") && name !== "$Command");
  assert.deepEqual(commands.filter((name) => !asked.has(name)), [], "commands that nobody sends");
  return commands.length;
}

// The rows that a page holds are its one list.
const rowsOf = (page) => Object.values(page).find(Array.isArray) ?? [];

async function everyPaginator(viewer) {
  const paginators = Object.keys(sdk).filter((name) => name.startsWith("paginate"));
  let walked = 0;
  for (const name of paginators) {
    const row = rows.find((row) => row.operation === name.slice("paginate".length));
    const walk = async (pageSize) => {
      const pages = [];
      for await (const page of sdk[name]({ client: viewer, ...(pageSize && { pageSize }) }, filled(row.with))) pages.push(rowsOf(page));
      return pages;
    };
    if (row.answers !== undefined) {
      assert((await refused(walk())) instanceof sdk[row.answers], name);
      continue;
    }
    const [whole, ...more] = await walk();
    assert.deepEqual(more, [], name);
    // Some have no size of a page to ask for.
    const small = await walk(1);
    assert.deepEqual(small.flat(), whole, `${name}: pages of one differ from the whole`);
    walked += small.length;
  }
  assert(walked > 30, `${walked} pages`);
  return paginators.length;
}

async function errors(admin, viewer) {
  const { CreateFilterCommand, DeleteFilterCommand, DisableCommand, ListFindingsCommand, UpdateFilterCommand } = sdk;
  const filterCriteria = { vulnerabilityId: [{ comparison: "EQUALS", value: "CVE-1999-0001" }] };
  const create = () => admin.send(new CreateFilterCommand({ name: "of the SDK", action: "NONE", filterCriteria }));
  const { arn } = await create();
  assert((await refused(create())) instanceof sdk.BadRequestException);
  await admin.send(new DeleteFilterCommand({ arn }));
  assert((await refused(admin.send(new UpdateFilterCommand({ filterArn: arn, action: "NONE" })))) instanceof sdk.ResourceNotFoundException);
  const denied = await refused(viewer.send(new DisableCommand({})));
  assert(denied instanceof sdk.AccessDeniedException && denied.$metadata.httpStatusCode === 403, `${denied}`);
  const invalid = await refused(viewer.send(new ListFindingsCommand({ maxResults: 101 })));
  assert(invalid instanceof sdk.ValidationException && invalid.reason === "FIELD_VALIDATION_FAILED", `${invalid}`);
  assert.equal(invalid.fields[0].name, "maxResults");
  const enable = (role, account) => client(role).send(new sdk.EnableDelegatedAdminAccountCommand({ delegatedAdminAccountId: account }));
  await enable("admin", facts.account);
  const conflict = await refused(enable("admin", facts.member));
  assert(conflict instanceof sdk.ConflictException && conflict.resourceId === facts.account, `${conflict}`);
  await admin.send(new sdk.DisableDelegatedAdminAccountCommand({ delegatedAdminAccountId: facts.account }));
  // Many at once, until the key has to wait.
  const hasty = client("hasty");
  let throttled;
  for (let round = 0; round < 60 && throttled === undefined; round++) {
    const many = await Promise.all(Array.from({ length: 50 }, () => hasty.send(new sdk.ListFiltersCommand({})).catch((error) => error)));
    throttled = many.find((answer) => answer instanceof Error);
  }
  assert(throttled instanceof sdk.ThrottlingException && throttled.retryAfterSeconds === 1, `${throttled}`);
  assert.equal(throttled.$metadata.httpStatusCode, 429);
}

async function times(viewer) {
  const { findings } = await viewer.send(new sdk.ListFindingsCommand({}));
  assert(findings.length >= 9 && findings.every((finding) => finding.firstObservedAt instanceof Date && finding.firstObservedAt.getFullYear() > 2020));
  const since = findings[0].firstObservedAt;
  const filterCriteria = { firstObservedAt: [{ endInclusive: new Date(since.getTime() - 86_400_000) }] };
  assert.deepEqual((await viewer.send(new sdk.ListFindingsCommand({ filterCriteria }))).findings, []);
}

async function main() {
  const [admin, viewer] = [client("admin"), client("viewer")];
  const commands = await everyCommand(admin);
  const paginators = await everyPaginator(viewer);
  await errors(admin, viewer);
  await times(viewer);
  console.log(`sdk: ${commands} commands, ${paginators} paginators`);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
