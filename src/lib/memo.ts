/**
 * Remembered answers of pure functions, so that what decides may look at everything in each pass
 * and still only work on what is new. A memo changes no answer: the function must depend on its
 * argument alone, and neither argument nor answer may be changed afterwards. Pure.
 */

/** Remembers for as long as the argument is used elsewhere. */
export function memoByObject<K extends object, V>(compute: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, { readonly answer: V }>()
  return key => {
    const before = known.get(key)
    if (before !== undefined) return before.answer
    const answer = compute(key)
    known.set(key, { answer })
    return answer
  }
}

/** Remembers the answers to at most `limit` texts; of more it begins anew. */
export function memoByText<V>(limit: number, compute: (text: string) => V): (text: string) => V {
  const known = new Map<string, { readonly answer: V }>()
  return text => {
    const before = known.get(text)
    if (before !== undefined) return before.answer
    const answer = compute(text)
    if (known.size >= limit) known.clear()
    known.set(text, { answer })
    return answer
  }
}

/** Remembers the last answer, while there are as many arguments, and each is the same, as then. */
export function memoLast<A extends readonly unknown[], V>(compute: (...given: A) => V): (...given: A) => V {
  let last: { readonly given: A; readonly answer: V } | undefined
  return (...given) => {
    const isSame = given.length === last?.given.length && given.every((one, index) => one === last?.given[index])
    if (last !== undefined && isSame) return last.answer
    const answer = compute(...given)
    last = { given, answer }
    return answer
  }
}
