import t from 'tap'
import { contrast, mix, readableOn, shadeFor } from '../../src/lib/colors.ts'

t.test('contrast is what WCAG says it is', async t => {
  t.equal(contrast('#000000', '#ffffff'), 21)
  t.equal(contrast('#777777', '#777777'), 1)
  t.equal(contrast('#767676', '#ffffff').toFixed(2), '4.54')
})

t.test('colours are mixed channel by channel', async t => {
  t.equal(mix('#000000', '#ffffff', 0.5), '#808080')
  t.equal(mix('#102030', '#ffffff', 0), '#102030')
})

t.test('black or white can be read on any colour', async t => {
  for (let value = 0; value <= 0xffffff; value += 0x01_07_0d) {
    const color = `#${value.toString(16).padStart(6, '0')}`
    if (contrast(readableOn(color), color) < 4.5) t.fail(color)
  }
})

t.test('a shade that will do is left as it is', async t => {
  const options = { backgrounds: ['#ffffff'], towards: '#000000', ratio: 4.5 }
  t.equal(shadeFor('#1f5fd6', options), '#1f5fd6')
  t.ok(contrast(shadeFor('#ffe600', options), '#ffffff') >= 4.5)
})
