/**
 * The words that `read-ios.ts` knows, and what people type of them: enough to tell one from the
 * others. Pure.
 */

/** At the beginning of a line of `router bgp`. */
export const VERBS = [
  'address-family',
  'aggregate-address',
  'bgp',
  'exit',
  'exit-address-family',
  'exit-peer-policy',
  'exit-peer-session',
  'graceful-restart',
  'graceful-restart-helper',
  'neighbor',
  'network',
  'no',
  'redistribute',
  'template',
  'vrf',
]
/** Behind `neighbor X`. */
export const OPTIONS = [
  'activate',
  'bfd',
  'capability',
  'description',
  'ebgp-multihop',
  'fall-over',
  'graceful-restart',
  'graceful-restart-disable',
  'graceful-restart-helper',
  'ha-mode',
  'inherit',
  'local-as',
  'maximum-prefix',
  'maximum-prefix-out',
  'maximum-routes',
  'next-hop',
  'next-hop-self',
  'next-hop-unchanged',
  'password',
  'peer',
  'peer-group',
  'prefix-list',
  'remote-as',
  'route-map',
  'route-reflector-client',
  'shutdown',
  'timers',
  'transport',
  'ttl',
  'ttl-security',
  'update-source',
]

/** The word that `word` begins, if there is one only; itself otherwise. */
export function wholeWord(word: string, vocabulary: readonly string[]): string {
  if (word.length < 3 || vocabulary.includes(word)) return word
  const [found, ...others] = vocabulary.filter(candidate => candidate.startsWith(word))
  return found !== undefined && others.length === 0 ? found : word
}
