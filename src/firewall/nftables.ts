/**
 * Runs the program `nft` (nftables): lists chains as JSON, and carries out scripts, each as one
 * transaction: all of it or nothing. A node's process runs no other program, but for CNI plugins
 * that it asks for their versions. Decides nothing.
 *
 * Chains are listed one by one: a whole table can be very large where kube-proxy works in nftables
 * mode.
 */
import { inNetworkNamespace } from '../lib/libc.ts'
import { decodeListing, type Listing, type NftChain, type NftFamily } from './nftables-listing.ts'

/** Where the program is; not PATH, for this runs as root. */
const FOLDERS = '/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/run/current-system/sw/bin'
/** A kernel that is busy with a large ruleset answers within this. */
const TIMEOUT_MILLISECONDS = 20_000

export interface NftOptions {
  /** Path of a network namespace; absent: this one. */
  readonly netns?: string
}

export class Nft {
  readonly #program: string
  readonly #netns: string | undefined

  private constructor(program: string, netns: string | undefined) {
    this.#program = program
    this.#netns = netns
  }

  /** Undefined when this machine has no nft. */
  static find({ netns }: NftOptions = {}): Nft | undefined {
    const program = Bun.which('nft', { PATH: FOLDERS })
    return program === null ? undefined : new Nft(program, netns)
  }

  /** All chains, without rules. Throws when nft fails. */
  async chains(): Promise<readonly NftChain[]> {
    return decodeListing(await this.#run(['-j', 'list', 'chains'])).chains
  }

  /** A chain with its rules. Throws when there is none. */
  async chain({ family, table, name }: Pick<NftChain, 'family' | 'table' | 'name'>): Promise<Listing> {
    return decodeListing(await this.#run(['-j', 'list', 'chain', family, table, name]))
  }

  /** A rule as nft writes it; undefined when it is gone. Throws when its chain is. */
  async ruleText(
    { family, table, name }: Pick<NftChain, 'family' | 'table' | 'name'>,
    handle: number,
  ): Promise<string | undefined> {
    const lines = (await this.#run(['-s', '-a', 'list', 'chain', family, table, name])).split('\n')
    const line = lines.find(text => text.endsWith(` # handle ${handle}`))
    return line?.slice(0, line.lastIndexOf(' # handle')).trim()
  }

  /**
   * The text of a table without counters: only good to be compared with another. Throws when there
   * is none.
   */
  tableText(family: NftFamily, table: string): Promise<string> {
    return this.#run(['-s', 'list', 'table', family, table])
  }

  /**
   * Carries out a script as one transaction. Throws, with the text of nft, when nothing was done.
   */
  async apply(script: string): Promise<void> {
    await this.#run(['-f', '-'], script)
  }

  async #run(words: readonly string[], input?: string): Promise<string> {
    const start = () =>
      Bun.spawn([this.#program, ...words], {
        stdin: input === undefined ? 'ignore' : Buffer.from(input),
        stdout: 'pipe',
        stderr: 'pipe',
        timeout: TIMEOUT_MILLISECONDS,
      })
    const child = this.#netns === undefined ? start() : inNetworkNamespace(this.#netns, start)
    const [output, errors, status] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    if (status === 0) return output
    const reason = errors.trim().split('\n')[0] ?? ''
    throw new Error(`nft ${words.join(' ')}: ${reason === '' ? `exit status ${status}` : reason}`)
  }
}
