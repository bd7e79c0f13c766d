// Writing masks as PNG files.

import { crc32 } from "../films/crc.js";
import { decode } from "./contours.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** The grey PNG, 0 and 255, of a mask in run lengths; of its mirror image if that is asked for. */
export async function maskPng(rle, isMirrored) {
  const [height, width] = rle.size;
  const mask = decode(rle);
  const rows = new Uint8Array((width + 1) * height); // each with the number of its filter, 0 for none
  for (let y = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++) {
      if (!mask.pixels[y * mask.width + x]) continue;
      const column = mask.left + x;
      rows[(y + mask.top) * (width + 1) + 1 + (isMirrored ? width - 1 - column : column)] = 255;
    }
  }
  const head = [...bigEndian(width), ...bigEndian(height), 8, 0, 0, 0, 0];
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  const chunks = [chunk("IHDR", Uint8Array.from(head)), chunk("IDAT", data), chunk("IEND", new Uint8Array(0))];
  return new Blob([Uint8Array.from(SIGNATURE), ...chunks], { type: "image/png" });
}

function chunk(kind, data) {
  const bytes = new Uint8Array(data.length + 12);
  bytes.set(bigEndian(data.length));
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(data, 8);
  bytes.set(bigEndian(crc32(bytes.subarray(4, data.length + 8))), data.length + 8);
  return bytes;
}

const bigEndian = (value) => [24, 16, 8, 0].map((bits) => (value >>> bits) & 255);
