/**
 * The page: takes each snapshot that the server sends and shows it. It keeps nothing, changes
 * nothing, and asks no one but its own server.
 */
import type { Snapshot } from '../src/model/snapshot.ts'
import { cloudSitesOf } from './cloud-model.ts'
import { Connection, type LinkState } from './connection.ts'
import { byId, inputById, setServerTime, tick } from './dom.ts'
import { filterWords, lansOf } from './model.ts'
import { drawNetwork } from './picture.ts'
import { showSummary } from './summary.ts'
import { createTables } from './tables.ts'

const tables = createTables()
const filter = inputById('filter')
let latest: Snapshot | undefined
/** When the link broke, in milliseconds of this browser. */
let lostAt: number | undefined
let why = ''

const connection = new Connection({ onSnapshot: show, onState: showLink })

function show(snapshot: Snapshot): void {
  // the page belongs to its server's version
  if (latest !== undefined && latest.version !== snapshot.version) location.reload()
  latest = snapshot
  setServerTime(snapshot.time)
  byId('main').hidden = false
  showSummary(snapshot)
  showFiltered()
  tick()
}

function showFiltered(): void {
  if (latest === undefined) return
  const words = filterWords(filter.value)
  drawNetwork(lansOf(latest), cloudSitesOf(latest), words)
  const rows = tables.update(latest, words)
  byId('filter-text').textContent = words.length === 0 ? '' : `${rows} ${rows === 1 ? 'row' : 'rows'} below`
}

const LINK_TEXTS = { connecting: 'Connecting…', live: 'Live', lost: 'Connection lost', token: 'Token needed' } as const

function showLink(state: LinkState): void {
  const link = byId('link')
  link.dataset.state = state.kind
  link.textContent = LINK_TEXTS[state.kind]
  byId('token-form').hidden = state.kind !== 'token'
  byId('lost').hidden = state.kind !== 'lost'
  document.body.classList.toggle('stale', state.kind !== 'live')
  if (state.kind === 'token') {
    byId('raw').hidden = true // a link bears no token
    byId('token-text').textContent = state.wrong ? 'The server does not know this token.' : ''
    inputById('token').focus()
  }
  lostAt = state.kind === 'lost' ? (lostAt ?? Date.now()) : undefined
  why = state.kind === 'lost' ? state.why : ''
  showLoss()
}

function showLoss(): void {
  if (lostAt === undefined) return
  const since = new Date(lostAt).toLocaleTimeString()
  const text = `The connection to this page's server is lost since ${since}; what stands below is from before. Trying again. (${why})`
  const node = byId('lost-text')
  if (node.textContent !== text) node.textContent = text
}

/** What is filtered stands in the address, so that a link leads to it. */
function takeFilter(): void {
  filter.value = new URLSearchParams(location.hash.slice(1)).get('filter') ?? ''
  showFiltered()
}

function keepFilter(): void {
  const hash = filter.value === '' ? '' : `#${new URLSearchParams({ filter: filter.value })}`
  history.replaceState(null, '', `${location.pathname}${location.search}${hash}`)
  showFiltered()
}

filter.addEventListener('input', keepFilter)
addEventListener('hashchange', takeFilter)
byId('retry').addEventListener('click', () => connection.connect())
byId('token-form').addEventListener('submit', event => {
  event.preventDefault()
  const token = inputById('token')
  connection.useToken(token.value.trim())
  token.value = ''
})
document.addEventListener('keydown', event => {
  const typing = event.target instanceof HTMLInputElement
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault()
    filter.focus()
  } else if (event.key === 'Escape' && event.target === filter) {
    filter.value = ''
    keepFilter()
  }
})
addEventListener('online', () => connection.connect())

setInterval(() => {
  if (lostAt === undefined) tick() // what was true when the link broke does not grow older
}, 1000)
takeFilter()
connection.connect()
