/**
 * A real browser for tests: headless Chromium, driven by playwright-core, with a record of what no
 * page of ours may do: errors in the console, violations of the content security policy, requests
 * that leave loopback.
 */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { programPath } from './requires.ts'

/** No updates, no telemetry, no QUIC: the browser itself talks to nobody. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface TestPage {
  readonly page: Page
  /**
   * Errors and warnings of the console, violations of the content security policy among them;
   * dialogs; failures of scripts.
   */
  readonly complaints: readonly string[]
  /** Requests to anything but loopback. */
  readonly strangers: readonly string[]
}

export class TestBrowser {
  readonly #browser: Browser

  private constructor(browser: Browser) {
    this.#browser = browser
  }

  static async launch(): Promise<TestBrowser> {
    const executablePath = programPath('chromium')
    if (executablePath === undefined) throw new Error('chromium is not on PATH')
    return new TestBrowser(await chromium.launch({ executablePath, headless: true, args: ARGUMENTS }))
  }

  /** A page of its own, sharing nothing with others. */
  async page(options: BrowserContextOptions = {}): Promise<TestPage> {
    const context = await this.#browser.newContext(options)
    const page = await context.newPage()
    page.setDefaultTimeout(15_000)
    const complaints: string[] = []
    const strangers: string[] = []
    page.on('console', message => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    page.on('pageerror', error => complaints.push(error.message))
    page.on('dialog', dialog => {
      complaints.push(`dialog: ${dialog.message()}`)
      dialog.dismiss().catch(() => {})
    })
    page.on('request', request => {
      const { hostname, protocol } = new URL(request.url())
      if (
        /^(https?|wss?):$/.test(protocol) &&
        hostname !== '127.0.0.1' &&
        hostname !== 'localhost' &&
        hostname !== '[::1]'
      ) {
        strangers.push(request.url())
      }
    })
    return { page, complaints, strangers }
  }

  close(): Promise<void> {
    return this.#browser.close()
  }
}
