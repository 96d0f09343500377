// The plainest storage that oidc-provider can have: everything in one Map, nothing ever removed.
import type { Adapter, AdapterPayload } from 'oidc-provider'

export function createMapAdapter(): (model: string) => Adapter {
  const rows = new Map<string, AdapterPayload>()
  const sessionIds = new Map<string, string>()
  return model => ({
    upsert: async (id, payload) => {
      rows.set(`${model}:${id}`, payload)
      if (model === 'Session' && typeof payload.uid === 'string') sessionIds.set(payload.uid, id)
    },
    find: async id => rows.get(`${model}:${id}`),
    findByUid: async uid => rows.get(`${model}:${sessionIds.get(uid)}`),
    findByUserCode: async () => undefined,
    consume: async id => {
      const row = rows.get(`${model}:${id}`)
      if (row !== undefined) row.consumed = Math.floor(Date.now() / 1000)
    },
    destroy: async id => void rows.delete(`${model}:${id}`),
    revokeByGrantId: async grantId => {
      for (const [id, row] of rows) if (row.grantId === grantId) rows.delete(id)
    }
  })
}
