/**
 * What a program pays that watches all Nodes and does nothing with them, as an informer does (and
 * flannel and kube-proxy on every node of a cluster): lists, keeps every object, watches from
 * there. `bun bare-watch.ts URL [TOKEN]`; prints a line when it has the list.
 */
const [url = '', token] = process.argv.slice(2)
const headers = { accept: 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
const options = { headers, tls: { rejectUnauthorized: false }, timeout: false } as RequestInit

interface Named {
  readonly metadata: { readonly name: string }
}
interface List {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: readonly Named[]
}

const objects = new Map<string, Named>()
let version = ''
for (let next: string | undefined = ''; next !== undefined; ) {
  const page = (await (await fetch(`${url}/api/v1/nodes?limit=500&continue=${next}`, options)).json()) as List
  for (const item of page.items) objects.set(item.metadata.name, item)
  version = page.metadata.resourceVersion
  next = page.metadata.continue || undefined
}
console.log(objects.size)
const answer = await fetch(
  `${url}/api/v1/nodes?watch=true&allowWatchBookmarks=true&resourceVersion=${version}`,
  options,
)
const decoder = new TextDecoder()
let rest = ''
for await (const chunk of answer.body ?? []) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
  rest = lines.pop() ?? ''
  for (const line of lines) {
    if (line === '') continue
    const { object } = JSON.parse(line) as { object: Named }
    objects.set(object.metadata.name, object)
  }
}

export {}
