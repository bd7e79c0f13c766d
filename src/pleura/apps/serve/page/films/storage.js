// The browser's own store (IndexedDB): it keeps the films of the page for a reload, until they are forgotten.

const FILMS = "films"; // { file, name, force, flip }
const STATES = "states"; // decisions and edits, under the key of their film
const KEEPER = "keeper"; // one record: the page that keeps the films, which is the one opened last
const THIS_PAGE = `${Date.now()} ${Math.random()}`;
const NAME = `pleura ${new URL("../../", import.meta.url).pathname}`;

const opened = new Promise((resolve) => {
  const request = indexedDB.open(NAME, 3);
  request.onupgradeneeded = () => {
    const { result: database } = request;
    const has = (name) => database.objectStoreNames.contains(name);
    if (!has(FILMS)) database.createObjectStore(FILMS, { autoIncrement: true });
    for (const name of [STATES, KEEPER]) if (!has(name)) database.createObjectStore(name);
  };
  request.onsuccess = () => {
    request.result.onversionchange = () => request.result.close(); // a page of a later version opens it
    resolve(request.result);
  };
  request.onblocked = () => resolve(null); // an open page of an earlier version holds it
  request.onerror = () => resolve(null); // in a private window, for one: the page works without
});

const pages = new BroadcastChannel(NAME);

/** Call `listener` with the reason, "other page" or "no store", as soon as changes are not kept; once for each reason. */
export function onNotKept(listener) {
  const told = new Set();
  tellNotKept = (reason) => {
    if (!told.has(reason)) listener(reason);
    told.add(reason);
  };
  pages.onmessage = () => tellNotKept("other page");
}

let tellNotKept = () => {};

/**
 * The results of the requests that `action` makes of the stores of films and states, in one transaction; null if it
 * fails. Only the page that keeps the films writes: another one would overwrite decisions and edits that it does not
 * have. With `takesOver` this page keeps them from now on.
 */
async function write(action, { takesOver = false } = {}) {
  const database = await opened.catch(() => null);
  const failed = (reason) => {
    tellNotKept(reason);
    return null;
  };
  if (!database) return failed("no store");
  return new Promise((resolve) => {
    let [requests, reason] = [[], "no store"]; // such as a full disk
    const transaction = transactionOf(database);
    const [films, states, keepers] = [FILMS, STATES, KEEPER].map((name) => transaction.objectStore(name));
    const keeper = keepers.get(0);
    keeper.onsuccess = () => {
      if (takesOver) keepers.put(THIS_PAGE, 0);
      else if (keeper.result !== THIS_PAGE) {
        reason = "other page";
        return transaction.abort();
      }
      requests = action(films, states);
    };
    transaction.oncomplete = () => {
      if (takesOver) pages.postMessage(null);
      resolve(requests.map(({ result }) => result));
    };
    transaction.onabort = transaction.onerror = () => resolve(failed(reason));
  });
}

const transactionOf = (database) => database.transaction([FILMS, STATES, KEEPER], "readwrite");

/** Keep a film; `film.stored` becomes its key, or null where nothing can be stored. */
export async function store(film) {
  film.stored = write((films) => [films.add(contentOf(film))]).then((keys) => keys?.[0] ?? null);
  return (await film.stored) !== null;
}

const contentOf = ({ file, name, force, flip }) => ({ file, name, force, flip });

const isKey = (key) => key !== null && key !== undefined;

/** Store the present options of a film. */
export async function update(film) {
  const key = await film.stored;
  if (isKey(key)) await write((films) => [films.put(contentOf(film), key)]);
}

/** Store the reviewer's decision on a film, and its edited masks. */
export async function updateState(film) {
  const key = await film.stored;
  const { decision, decidedAt, decidedOn, comment, edits, byHand, reference } = film;
  const state = { decision, decidedAt, decidedOn, comment, edits, byHand, reference };
  if (isKey(key)) await write((_, states) => [states.put(state, key)]);
}

/** The films of the last time, which this page keeps from now on: a list of { file, name, force, flip, stored } and their decisions and edits. */
export async function storedFilms() {
  const all = (store) => [store.getAllKeys(), store.getAll()];
  const read = await write((films, states) => [...all(films), ...all(states)], { takesOver: true });
  const [keys, values, stateKeys, states] = read ?? [[], [], [], []];
  const stateOf = new Map(stateKeys.map((key, index) => [key, states[index]]));
  return values.map((value, index) => ({ ...value, ...stateOf.get(keys[index]), stored: keys[index] }));
}

export async function forget(film) {
  const key = await film.stored;
  if (isKey(key)) await write((films, states) => [films.delete(key), states.delete(key)]);
}

/** Delete all that is kept, also by another page; whether nothing is left. */
export async function forgetAll() {
  return !(await opened) || (await write((films, states) => [films.clear(), states.clear()], { takesOver: true })) !== null;
}
