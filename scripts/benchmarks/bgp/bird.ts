/**
 * BIRD in a network namespace, asked over its control socket: a connection that stays open, as a
 * `birdc` for every question would cost more than what is measured.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, type TestNetwork } from '../../../test/support/namespaces.ts'

/** One line of an answer that is the last: a code and a space (BIRD's reply protocol). */
const LAST_LINE = /^\d{4} .*\n$/m

export class Bird {
  readonly pid: number
  readonly #folder: string
  readonly #socket: Bun.Socket
  #answer = ''
  #answered: (text: string) => void = () => {}

  /** Starts BIRD and returns when it answers. */
  static async start(network: TestNetwork, namespace: string, config: readonly string[]): Promise<Bird> {
    const folder = mkdtempSync(join(tmpdir(), 'terway-edge-bench-'))
    writeFileSync(
      `${folder}/bird.conf`,
      `timeformat protocol iso long us;\nlog stderr { fatal, error };\n${config.join('\n')}\n`,
    )
    const control = `${folder}/bird.ctl`
    const process = network.spawn(namespace, ['bird', '-f', '-c', `${folder}/bird.conf`, '-s', control], {
      env: { TZ: 'UTC' },
    })
    let receive = (_bytes: Uint8Array) => {}
    const socket = await eventually(
      'BIRD answers',
      () => Bun.connect({ unix: control, socket: { data: (_socket, bytes) => receive(bytes) } }),
      60,
    )
    const bird = new Bird(process.pid, folder, socket)
    receive = bytes => bird.#receive(bytes)
    await bird.ask('show status')
    return bird
  }

  private constructor(pid: number, folder: string, socket: Bun.Socket) {
    this.pid = pid
    this.#folder = folder
    this.#socket = socket
  }

  /** One command at a time. */
  ask(command: string): Promise<string> {
    return new Promise(resolve => {
      this.#answered = resolve
      this.#socket.write(`${command}\n`)
    })
  }

  /**
   * When the session was established (milliseconds since the epoch), and how many routes BIRD holds
   * of it.
   */
  async progress(protocol: string): Promise<{ readonly establishedAt: number | undefined; readonly held: number }> {
    const text = await this.ask(`show protocols all ${protocol}`)
    const since = /(\d{4}-\d\d-\d\d) ([\d:.]+) +Established/.exec(text)
    const imported = /Routes: +(\d+) imported/.exec(text)
    return {
      establishedAt: since === null ? undefined : Date.parse(`${since[1]}T${since[2]}Z`),
      held: Number(imported?.[1] ?? 0),
    }
  }

  /** Ends the process and waits for that. */
  close(): void {
    this.#socket.end()
    process.kill(this.pid, 'SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #receive(bytes: Uint8Array): void {
    this.#answer += new TextDecoder().decode(bytes)
    // the greeting
    if (this.#answer.startsWith('0001 ')) this.#answer = this.#answer.slice(this.#answer.indexOf('\n') + 1)
    if (!LAST_LINE.test(this.#answer)) return
    const answer = this.#answer
    this.#answer = ''
    this.#answered(answer)
  }
}
