/**
 * Releases for tests, made by scripts/release in copies of this tree, each in a folder of its own:
 * as somebody makes one who has cloned the repository at this state.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { run } from './namespaces.ts'

const WHO = { NAME: 'test', EMAIL: 'test@example.com', DATE: '2026-01-01T00:00:00Z' }

/** The files of this tree, in a repository of one commit that is the same wherever it is. */
export function copyOfTree(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const list = 'git ls-files -z --cached --others --exclude-standard'
  const script = `cd "${resolve('.')}" && ${list} | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\\0" "$f"; done' - | tar --null -T - -cf - | tar -C "${folder}" -xf -`
  run(['sh', '-c', script])
  const env = Object.entries(WHO).flatMap(([key, value]) => [
    `GIT_AUTHOR_${key}=${value}`,
    `GIT_COMMITTER_${key}=${value}`,
  ])
  const git = (...words: string[]) => run(['env', ...env, 'git', '-C', folder, ...words])
  git('init', '-q')
  git('add', '--all')
  git('-c', 'commit.gpgsign=false', 'commit', '-q', '--no-verify', '-m', 'the tree')
  return folder
}

/** Runs scripts/release of a tree and returns the folder with what it made. */
export function makeRelease(tree: string, ...words: string[]): string {
  const out = join(tree, 'dist/release')
  run([join(tree, 'scripts/release'), ...words], { timeoutMilliseconds: 600_000 })
  if (!existsSync(join(out, 'SHA256SUMS'))) throw new Error(`no release in ${out}`)
  return out
}
