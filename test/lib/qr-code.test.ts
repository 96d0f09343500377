import { create } from 'qrcode'
import t from 'tap'
import { drawQrCode } from '../../src/lib/qr-code.ts'

t.test('the path covers each dark module, and nothing else', async t => {
  const text = 'otpauth://totp/Gatehouse:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  const { size, path } = drawQrCode(text)
  const covered = new Uint8Array(size * size)
  for (const [, x = '', y = '', width = ''] of path.matchAll(/M(\d+) (\d+)h(\d+)v1H\1z/g))
    covered.fill(1, Number(y) * size + Number(x), Number(y) * size + Number(x) + Number(width))
  t.equal(path.replace(/M(\d+) \d+h\d+v1H\1z/g, ''), '', 'bars alone')
  t.strictSame(covered, Uint8Array.from(create(text, { errorCorrectionLevel: 'M' }).modules.data))
})
