// Talks to the YAML language server as an editor does, about the recipes of this repository and small files with mistakes.
// Arguments: the server's script, the repository's folder.
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [serverScript, repository] = process.argv.slice(2);
const server = spawn(process.execPath, [serverScript, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
const url = (path) => pathToFileURL(join(repository, path)).href;

// The Language Server Protocol: JSON-RPC with a header.
const waiting = new Map();
const diagnostics = new Map();
const listeners = [];
let received = Buffer.alloc(0);
let last = 0;

function send(message) {
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
  server.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
  server.stdin.write(body);
}

function request(method, params) {
  last += 1;
  const id = last;
  send({ id, method, params });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

// What an editor's user would configure.
const settings = {
  yaml: {
    schemas: {
      [url('docs/schema/recipe.json')]: ['/recipes/*.yaml'],
      [url('docs/schema/component.json')]: ['/recipes/components/*.yaml'],
      [url('docs/schema/toolchain.json')]: ['/recipes/toolchains/*.yaml'],
    },
    schemaStore: { enable: false },
    validate: true,
    hover: true,
    completion: true,
  },
};

function handle(message) {
  if (message.method === undefined) {
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error) reject(new Error(message.error.message));
    else resolve(message.result);
  } else if (message.method === 'workspace/configuration') {
    const result = message.params.items.map(({ section }) => settings[section] ?? null);
    send({ id: message.id, result });
  } else if (message.method === 'textDocument/publishDiagnostics') {
    diagnostics.set(message.params.uri, message.params.diagnostics);
    listeners.forEach((listener) => listener());
  } else if (message.id !== undefined) {
    send({ id: message.id, result: null });
  }
}

server.stdout.on('data', (data) => {
  received = Buffer.concat([received, data]);
  for (;;) {
    const end = received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(received.subarray(0, end))[1]);
    if (received.length < end + 4 + length) return;
    const body = received.subarray(end + 4, end + 4 + length);
    received = received.subarray(end + 4 + length);
    handle(JSON.parse(body));
  }
});

async function open(path, text) {
  const uri = url(path);
  const found = new Promise((resolve) => {
    listeners.push(() => {
      if (diagnostics.has(uri)) resolve(diagnostics.get(uri));
    });
  });
  send({ method: 'textDocument/didOpen', params: { textDocument: { uri, languageId: 'yaml', version: 1, text } } });
  return { uri, found: await found };
}

let failures = 0;
function check(what, holds, shown) {
  console.log(`${holds ? 'ok' : 'FAILED'}: ${what}`);
  if (!holds) {
    failures += 1;
    console.log(JSON.stringify(shown, null, 1));
  }
}

// A text with `@` at the cursor.
function atCursor(marked) {
  const before = marked.slice(0, marked.indexOf('@'));
  const position = { line: before.split('\n').length - 1, character: before.length - before.lastIndexOf('\n') - 1 };
  return { text: marked.replace('@', ''), position };
}

let files = 0;
async function completion(path, marked) {
  files += 1;
  const { text, position } = atCursor(marked);
  const { uri } = await open(path.replace('*', `editor-${files}`), text);
  const result = await request('textDocument/completion', { textDocument: { uri }, position });
  return (result.items ?? result).map((item) => item.label);
}

async function hover(path, marked) {
  files += 1;
  const { text, position } = atCursor(marked);
  const { uri } = await open(path.replace('*', `editor-${files}`), text);
  const result = await request('textDocument/hover', { textDocument: { uri }, position });
  return JSON.stringify(result?.contents ?? '');
}

async function run() {
  await request('initialize', {
    processId: process.pid,
    rootUri: url(''),
    workspaceFolders: [{ uri: url(''), name: 'dbco' }],
    capabilities: {
      workspace: { configuration: true, didChangeConfiguration: { dynamicRegistration: true } },
      textDocument: { hover: { contentFormat: ['markdown'] }, completion: { completionItem: { snippetSupport: true } } },
    },
  });
  send({ method: 'initialized', params: {} });
  send({ method: 'workspace/didChangeConfiguration', params: { settings } });

  // Shipped files: nothing to object to.
  for (const folder of ['recipes', 'recipes/components', 'recipes/toolchains']) {
    for (const name of readdirSync(join(repository, folder)).filter((file) => file.endsWith('.yaml'))) {
      const { found } = await open(`${folder}/${name}`, readFileSync(join(repository, folder, name), 'utf8'));
      check(`${folder}/${name} has no errors`, found.length === 0, found);
    }
  }

  // Mistakes, each on its line.
  const wrong = [
    ['a misspelt key', 'recipes/*.yaml', 'extends: quick.yaml\nboot:\n  timeuot: 3\n', 2, 'timeuot'],
    ['a value of the wrong type', 'recipes/*.yaml', 'extends: quick.yaml\nboot:\n  timeout: soon\n', 2, ''],
    ['an unknown word', 'recipes/*.yaml', 'extends: quick.yaml\ninitrd:\n  livefs: squash\n', 2, ''],
    ['a list in place of a text', 'recipes/components/*.yaml', 'component: a\nversion: 1\nlicense: [MIT]\nsource: {path: a}\n', 2, ''],
  ];
  for (const [what, path, text, line, words] of wrong) {
    files += 1;
    const { found } = await open(path.replace('*', `editor-${files}`), text);
    check(`${what} is shown`, found.some((one) => one.range.start.line === line && one.message.includes(words)), found);
  }

  const includes = async (what, found, expected) => {
    const labels = await found;
    check(`completion of ${what}`, expected.every((one) => labels.includes(one)), labels);
  };
  const top = 'recipe: mine\nextends: quick.yaml\n';
  await includes('the keys of a recipe', completion('recipes/*.yaml', `${top}@`), ['boot', 'kernel', 'rootfs', 'tests']);
  await includes('the keys of a boot menu', completion('recipes/*.yaml', `${top}boot:\n  @`), ['timeout', 'cmdline', 'entries']);
  await includes('the words of a mode', completion('recipes/*.yaml', `${top}boot:\n  entries:\n    - id: a\n      mode: @`), ['live', 'chroot', 'switch', 'disk']);
  await includes('the outputs', completion('recipes/*.yaml', `${top}outputs:\n  - @`), ['iso', 'bzimage', 'erofs']);
  await includes('the keys of a test', completion('recipes/*.yaml', `${top}tests:\n  - name: a\n    @`), ['medium', 'boots', 'expect', 'peer']);
  await includes('the changes of a list', completion('recipes/*.yaml', `${top}rootfs:\n  users:\n    @`), ['add', 'remove', 'change']);
  await includes('the keys of a complete recipe', completion('recipes/*.yaml', 'recipe: mine\nepoch: 2026-11-01\n@'), ['kernel', 'outputs']);
  await includes('the keys of a component', completion('recipes/components/*.yaml', 'component: a\n@'), ['source', 'license', 'kconfig']);
  await includes('the kinds of source', completion('recipes/components/*.yaml', 'component: a\nsource:\n  @'), ['url', 'git', 'path', 'debian-source']);
  await includes('the keys of a toolchain', completion('recipes/toolchains/*.yaml', 'toolchain: a\n@'), ['packages', 'extends', 'without']);

  const says = async (what, found, expected) => {
    const text = await found;
    check(`hover over ${what}`, text.includes(expected), text);
  };
  await says('timeout', hover('recipes/*.yaml', `${top}boot:\n  time@out: 5\n`), 'Seconds until the default entry starts');
  await says('recipe', hover('recipes/*.yaml', 'rec@ipe: mine\n'), 'that of its output folder');
  await says('a mode', hover('recipes/*.yaml', `${top}boot:\n  entries:\n    - {id: a, title: A, mo@de: live}\n`), 'How it finds its root filesystem');
  await says('needs', hover('recipes/components/*.yaml', 'component: a\nne@eds: [b]\n'), 'install trees are at');
  await says('without', hover('recipes/toolchains/*.yaml', 'toolchain: a\nextends: b.yaml\nwith@out: [c]\n'), 'are left out');

  await request('shutdown', null);
  send({ method: 'exit', params: null });
}

server.on('exit', (code) => {
  if (waiting.size > 0) {
    console.log(`FAILED: the server ended with status ${code}`);
    process.exit(1);
  }
});

run().then(
  () => process.exit(failures === 0 ? 0 : 1),
  (error) => {
    console.log(`FAILED: ${error.stack}`);
    server.kill();
    process.exit(1);
  },
);
