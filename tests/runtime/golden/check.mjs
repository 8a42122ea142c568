// What docs/bucketing.md says, in plain JavaScript: checks vectors.json, and prints each vector that comes out otherwise.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const P = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
const u64 = (value) => BigInt.asUintN(64, value);
const turn = (value, by) => u64(value << by) | (value >> (64n - by));
const mix = (value, lane) => u64(turn(u64(value + lane * P[1]), 31n) * P[0]);

function xxh64(data) {
  const v = [u64(P[0] + P[1]), P[1], 0n, u64(-P[0])];
  let at = 0;
  while (at + 32 <= data.length) for (let i = 0; i < 4; i++, at += 8) v[i] = mix(v[i], data.readBigUInt64LE(at));
  let h = at ? u64(turn(v[0], 1n) + turn(v[1], 7n) + turn(v[2], 12n) + turn(v[3], 18n)) : P[4];
  if (at) for (const each of v) h = u64((h ^ mix(0n, each)) * P[0] + P[3]);
  h = u64(h + BigInt(data.length));
  for (; at + 8 <= data.length; at += 8) h = u64(turn(h ^ mix(0n, data.readBigUInt64LE(at)), 27n) * P[0] + P[3]);
  if (at + 4 <= data.length) {
    h = u64(turn(h ^ u64(BigInt(data.readUInt32LE(at)) * P[0]), 23n) * P[1] + P[2]);
    at += 4;
  }
  for (; at < data.length; at++) h = u64(turn(h ^ u64(BigInt(data[at]) * P[4]), 11n) * P[0]);
  h = u64((h ^ (h >> 33n)) * P[1]);
  h = u64((h ^ (h >> 29n)) * P[2]);
  return h ^ (h >> 32n);
}

const hashes = { v1: (data) => createHash("sha256").update(data).digest().readBigUInt64BE(0), v2: xxh64 };
const owns = (ranges, bucket) => ranges.some((pair) => Math.min(...pair) <= bucket && bucket < Math.max(...pair));
let count = 0;
for (const { algorithm, salt, unit_kind, variants, vectors } of JSON.parse(readFileSync(process.argv[2])))
  for (const [unit, bucket, version] of vectors) {
    const data = Buffer.from([algorithm, salt, unit_kind, unit].join("\0"));
    const found = unit ? Number((hashes[algorithm](data) * 100000n) >> 64n) : null;
    const chosen = unit ? variants.find((each) => owns(each.ranges, found)) : variants[0];
    count++;
    if (found !== bucket || chosen.version !== version) console.log(JSON.stringify([salt, unit, found, chosen.version]));
  }
console.log(`checked ${count}`);
