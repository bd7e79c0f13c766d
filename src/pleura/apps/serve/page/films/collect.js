// Files that the user drops, chooses or pastes, also in folders and zip files.

import { isZip, unzip } from "./zip.js";

const HIDDEN = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/;

/** The films in chosen files: a list of { file, name }. */
export async function fromFiles(files) {
  const entries = [...files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
  return unpack(entries.filter(({ file, name }) => !file.webkitRelativePath || !HIDDEN.test(name)));
}

/** The films in what was dropped or pasted; folders with all that is in them. */
export async function fromTransfer(transfer) {
  const entries = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry?.());
  const files = [...transfer.files]; // both must be read before the first `await`
  if (!entries.some((entry) => entry?.isDirectory)) return fromFiles(files);
  const lists = await Promise.all(entries.filter(Boolean).map((entry) => walk(entry, "")));
  return unpack(lists.flat());
}

async function walk(entry, above) {
  const name = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return above && HIDDEN.test(name) ? [] : [{ file, name }];
  }
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break; // it gives 100 at a time
    inside.push(...some);
  }
  inside.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  return (await Promise.all(inside.map((child) => walk(child, `${name}/`)))).flat();
}

/** Replace each zip file by the files in it. */
async function unpack(entries) {
  const lists = await Promise.all(entries.map(async ({ file, name }) => {
    if (!(await isZip(file))) return [{ file, name }];
    const folder = name.replace(/\.zip$/i, "");
    const inside = (await unzip(file)).filter((entry) => !HIDDEN.test(entry.name));
    return inside.map((entry) => ({ file: entry, name: `${folder}/${entry.name}` }));
  }));
  return lists.flat();
}
