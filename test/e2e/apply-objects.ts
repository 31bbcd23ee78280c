/**
 * A small program for systemd-lan.ts, run in a network namespace: applies the objects of a file at
 * an API server without authentication.
 */
const [server = '', file = ''] = process.argv.slice(2)
const objects: { path: string; object: object; status?: object }[] = await Bun.file(file).json()

async function patch(path: string, type: string, body: object): Promise<void> {
  const headers = { 'content-type': `application/${type}` }
  const response = await fetch(`${server}${path}`, { method: 'PATCH', headers, body: JSON.stringify(body), proxy: '' })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
}

for (const { path, object, status } of objects) {
  await patch(`${path}?fieldManager=test&force=true`, 'apply-patch+yaml', object)
  if (status !== undefined) await patch(`${path}/status`, 'merge-patch+json', { status })
}

export {}
