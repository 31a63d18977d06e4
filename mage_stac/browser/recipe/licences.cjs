// Print name, version and licence text of every package that may end up in the bundle.
const { execSync } = require('child_process');
const { existsSync, readFileSync, readdirSync } = require('fs');
const { join } = require('path');

const folders = execSync('npm ls --omit=dev --all --parseable', { maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] })
  .toString().trim().split('\n');
for (const folder of [...new Set(folders)].sort()) {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) continue;
  const { name, version, license } = JSON.parse(readFileSync(manifest, 'utf8'));
  const file = readdirSync(folder).sort().find(entry => /^(licen[cs]e|copying)/i.test(entry));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '';
  console.log(`${'='.repeat(100)}\n${name} ${version} (${typeof license === 'string' ? license : 'see below'})\n\n${text}\n`);
}
