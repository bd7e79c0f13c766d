// Reading and writing zip files.

import { crc32 } from "./crc.js";

const END = 0x06054b50; // signature of the end of the directory
const ENTRY = 0x02014b50; // signature of an entry of the directory
const END_BYTES = 22;
const MAX_BYTES = 4_000_000_000; // unpacked

/** Whether a file begins as a zip file does. */
export async function isZip(file) {
  const bytes = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return bytes[0] === 0x50 && bytes[1] === 0x4b && [0x0304, 0x0506].includes((bytes[2] << 8) | bytes[3]);
}

/** The files in a zip file, as `File` objects whose names have their folders. Throws an `Error`. */
export async function unzip(file) {
  const entries = await directory(file);
  if (entries.reduce((sum, { size }) => sum + size, 0) > MAX_BYTES) {
    throw new Error(`${file.name} holds more than 4 GB; unpack it and drop the films in parts`);
  }
  const files = [];
  for (const entry of entries.filter(({ name }) => !name.endsWith("/"))) files.push(await unpacked(file, entry));
  return files;
}

/** The entries of the zip file's directory, which lies at its end. */
async function directory(file) {
  const tailAt = Math.max(0, file.size - END_BYTES - 65535);
  const tail = new DataView(await file.slice(tailAt).arrayBuffer());
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw new Error(`${file.name} is a damaged zip file: its directory is missing; make it again`);
  const [count, size, at] = [tail.getUint16(end + 10, true), tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (count === 0xffff || at === 0xffffffff) throw new Error(`${file.name} is in the format Zip64; unpack it and drop the folder`);
  return entriesOf(new DataView(await file.slice(at, at + size).arrayBuffer()), count, file.name);
}

function entriesOf(view, count, zipName) {
  const text = new TextDecoder();
  const entries = [];
  for (let at = 0; entries.length < count;) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== ENTRY) {
      throw new Error(`${zipName} is a damaged zip file; make it again`);
    }
    const [nameBytes, moreBytes, commentBytes] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    entries.push({
      isEncrypted: Boolean(view.getUint16(at + 8, true) & 1),
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      at: view.getUint32(at + 42, true),
      name: text.decode(new Uint8Array(view.buffer, at + 46, nameBytes)),
    });
    at += 46 + nameBytes + moreBytes + commentBytes;
  }
  return entries;
}

async function unpacked(file, { isEncrypted, method, packed, at, name }) {
  if (isEncrypted) throw new Error(`${file.name} needs a password; unpack it and drop the folder`);
  if (method !== 0 && method !== 8) throw new Error(`${file.name} is packed in an unusual way (${method}); unpack it and drop the folder`);
  const head = new DataView(await file.slice(at, at + 30).arrayBuffer());
  const from = at + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const content = file.slice(from, from + packed);
  if (method === 0) return new File([content], name);
  const stream = content.stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const inflated = await new Response(stream).blob().catch(() => {
    throw new Error(`${name} in ${file.name} is damaged; make the zip file again`);
  });
  return new File([inflated], name);
}

// ---- writing

const FILE_HEAD = 0x04034b50;
const UTF8 = 0x0800; // names are in UTF-8
const VERSION = 20;
const MAX_ZIPPED = 0xffffffff; // bytes, without Zip64
const MAX_ENTRIES = 0xffff;

/** The local time as a zip file has it, in steps of two seconds: [time, date]. */
const zipTime = (at) => [
  (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1),
  ((at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate(),
];

/** A zip file, not compressed, of { name, content } with Blobs as content, dated now. Throws an `Error`. */
export async function zip(entries) {
  const size = entries.reduce((sum, { content }) => sum + content.size + 1000, 0);
  if (size > MAX_ZIPPED || entries.length > MAX_ENTRIES) throw new Error("the results have over 4 GB or 65,535 files; remove some films and save in parts");
  const [files, directory, now] = [[], [], zipTime(new Date())];
  let at = 0;
  for (const { name, content } of entries) {
    const encoded = new TextEncoder().encode(name);
    const common = [...short(VERSION, UTF8, 0, ...now), ...long(crc32(new Uint8Array(await content.arrayBuffer())), content.size, content.size)];
    const head = Uint8Array.from([...long(FILE_HEAD), ...common, ...short(encoded.length, 0)]);
    const entry = [...long(ENTRY), ...short(VERSION), ...common, ...short(encoded.length, 0, 0, 0, 0), ...long(0, at)];
    directory.push(Uint8Array.from(entry), encoded);
    files.push(head, encoded, content);
    at += head.length + encoded.length + content.size;
  }
  const directorySize = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Uint8Array.from([...long(END), ...short(0, 0, entries.length, entries.length), ...long(directorySize, at), ...short(0)]);
  return new Blob([...files, ...directory, end], { type: "application/zip" });
}

/** Numbers as bytes, the lowest byte first: two bytes each, or four. */
const short = (...values) => values.flatMap((value) => [value & 255, (value >>> 8) & 255]);
const long = (...values) => values.flatMap((value) => [...short(value), ...short(value >>> 16)]);
