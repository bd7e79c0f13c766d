// Reads a DICOM Segmentation as cornerstone, and so OHIF, does, and prints what it holds as JSON.
// node read_seg.js FILM SEG, in a folder where npm has installed @cornerstonejs/adapters.

import fs from "node:fs";
import dcmjs from "dcmjs";

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
const [, , filmPath, segPath] = process.argv;
const reader = "./node_modules/@cornerstonejs/adapters/dist/esm/adapters/Cornerstone/Segmentation_4X.js";
const { default: Segmentation } = await import(reader);

function bytesOf(path) {
  const buffer = fs.readFileSync(path);
  return buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);
}

const film = DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(bytesOf(filmPath)).dict);
const modules = {
  // A film has no plane; viewers put it into this one.
  imagePlaneModule: { rowCosines: [1, 0, 0], columnCosines: [0, 1, 0], rows: film.Rows, columns: film.Columns },
  generalSeriesModule: { seriesInstanceUID: film.SeriesInstanceUID },
  generalImageModule: { sopInstanceUID: film.SOPInstanceUID },
  instance: film,
};
const provider = { get: (name) => modules[name] };
const { labelmapBufferArray } = await Segmentation.generateToolState(["film:1"], bytesOf(segPath), provider, {});
const areas = {};
for (const labelmap of labelmapBufferArray) {
  for (const segment of new Uint8Array(labelmap)) {
    if (segment) areas[segment] = (areas[segment] ?? 0) + 1;
  }
}
console.log(JSON.stringify(areas));
