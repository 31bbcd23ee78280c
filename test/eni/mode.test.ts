/** Which mode a Node asks for, and when a node follows. */
import { expect, test } from 'bun:test'
import { decideMode, modeInput, modeOfNode, type SeenByNode } from '../../src/eni/mode.ts'

test('the controller decides by label and providerID', () => {
  const edge = { 'alibabacloud.com/is-edge-worker': 'true' }
  const ens = { 'alibabacloud.com/ens-instance-id': 'i-5t' }
  expect(modeOfNode({ labels: {}, providerID: 'cn-hangzhou.i-bp1' })).toEqual({
    mode: 'eni-ecs',
    why: 'providerID cn-hangzhou.i-bp1',
    regionID: 'cn-hangzhou',
    instanceID: 'i-bp1',
  })
  expect(modeOfNode({ labels: {}, providerID: 'alicloud://cn-beijing.i-2ze' })).toMatchObject({ instanceID: 'i-2ze' })
  expect(modeOfNode({ labels: { ...ens, ...edge } })).toEqual({
    mode: 'eni-ens',
    why: 'label alibabacloud.com/ens-instance-id=i-5t',
    instanceID: 'i-5t',
  })
  expect(modeOfNode({ labels: edge, providerID: 'cn-hangzhou.i-bp1' })).toEqual({
    mode: 'route',
    why: 'label alibabacloud.com/is-edge-worker=true',
  })
  for (const providerID of ['', 'kind://docker/a/b', 'aws:///eu-1/i-0', 'i-bp1', 'cn-hangzhou.x-1', 'cn.i-1/..']) {
    expect(modeOfNode({ labels: {}, providerID }).mode).toBe('route')
  }
})

test('a node follows the controller, and what it was while nobody says anything', () => {
  const auto = { configured: 'auto', attached: 0 } as const
  expect(decideMode({ ...auto, decided: undefined, current: undefined })).toEqual({ mode: undefined })
  expect(decideMode({ ...auto, decided: 'eni-ecs', current: undefined })).toEqual({ mode: 'eni-ecs' })
  expect(decideMode({ ...auto, attached: 3, decided: undefined, current: 'eni-ens' })).toEqual({ mode: 'eni-ens' })
  expect(decideMode({ ...auto, decided: 'route', current: 'eni-ecs' })).toEqual({ mode: 'route' })
  expect(decideMode({ ...auto, configured: 'route', decided: undefined, current: undefined })).toEqual({
    mode: 'route',
  })
})

test('a change under pods and a contradiction are refused, with what to do', () => {
  const change = decideMode({ configured: 'auto', decided: 'eni-ecs', current: 'route', attached: 1 })
  expect(change).toEqual({
    mode: 'route',
    refusal: {
      reason: 'ModeChangeRefused',
      message: 'the mode stays route and does not become eni-ecs while 1 pod is attached: drain the node',
    },
  })
  for (const current of [undefined, 'route', 'eni-ens'] as const) {
    const contradiction = decideMode({ configured: 'eni-ens', decided: 'eni-ecs', current, attached: 0 })
    expect(contradiction.mode).toBe(current)
    expect(contradiction.refusal?.reason).toBe('ModeContradiction')
    expect(contradiction.refusal?.message).toContain('mode: eni-ens, the controller decided eni-ecs')
  }
})

/** What is seen of a node at its first start, before anybody has said anything. */
const NEW: SeenByNode = {
  configured: 'auto',
  eniNode: { exists: undefined, platform: undefined },
  isRouted: false,
  attached: { pods: 0, onInterfaces: false },
  running: undefined,
}

test('an ENINode or a RouteSlice says the mode; one that is gone with nothing in its place says nothing', () => {
  const decided = (seen: Partial<SeenByNode>) => modeInput({ ...NEW, ...seen }).decided
  expect(decided({})).toBe('route')
  expect(decided({ configured: 'eni-ens' })).toBeUndefined()
  expect(decided({ eniNode: { exists: true, platform: 'ecs' } })).toBe('eni-ecs')
  expect(decided({ eniNode: { exists: undefined, platform: 'ens' }, isRouted: true })).toBe('eni-ens')
  expect(decided({ eniNode: { exists: false, platform: 'ecs' } })).toBeUndefined()
  expect(decided({ eniNode: { exists: false, platform: 'ecs' }, isRouted: true })).toBe('route')
  expect(decided({ configured: 'eni-ecs', isRouted: true })).toBe('route')
})

test('pods tell what a node was before a restart; records that cannot be read leave what runs', () => {
  const eniNode = { exists: true, platform: 'ens' } as const
  const inUse = (seen: Partial<SeenByNode>) => {
    const { current, attached } = modeInput({ ...NEW, ...seen })
    return [current, attached]
  }
  expect(inUse({ eniNode, running: 'route' })).toEqual([undefined, 0])
  expect(inUse({ eniNode, attached: { pods: 2, onInterfaces: true } })).toEqual(['eni-ens', 2])
  expect(inUse({ attached: { pods: 2, onInterfaces: true } })).toEqual(['eni-ecs', 2])
  expect(inUse({ eniNode, attached: { pods: 1, onInterfaces: false } })).toEqual(['route', 1])
  expect(inUse({ eniNode, attached: undefined, running: 'route' })).toEqual(['route', 1])
  expect(inUse({ eniNode, attached: undefined })).toEqual([undefined, 1])
})
