/** What a visitor chose, kept in this browser: the next visit begins with it. */

// One place per site: several may lie under one address.
const PLACE = `impasto ${new URL("./", document.baseURI).pathname}`;

/** What was kept, {} on the first visit. */
export function choices() {
  try {
    return Object(JSON.parse(localStorage.getItem(PLACE)));
  } catch {
    return {}; // browsers may be told to keep nothing, and anybody may write there
  }
}

/** Keep some choices beside the others. */
export function remember(chosen) {
  try {
    localStorage.setItem(PLACE, JSON.stringify({ ...choices(), ...chosen }));
  } catch {
    // Nothing is kept then; the page works all the same.
  }
}
