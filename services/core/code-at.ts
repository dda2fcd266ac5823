// Character codes on the hot path. A method that is looked up on the string itself is looked up for each kind of string
// that an engine has (flat, joined, sliced, interned ...); where many kinds pass by one place it gives up and looks anew
// for every character. Called by way of the prototype there is nothing to look up.

// eslint-disable-next-line @typescript-eslint/unbound-method -- bound by each call below
const { charCodeAt } = String.prototype

/** `text.charCodeAt(index)`. Hot path. */
export function codeAt(text: string, index: number): number {
  return charCodeAt.call(text, index)
}
