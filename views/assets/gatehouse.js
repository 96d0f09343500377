// Small comforts; every page works without them.

// A password can be looked at while it is typed.
for (const button of document.querySelectorAll('button.reveal')) {
  const input = document.getElementById(button.getAttribute('aria-controls'))
  button.hidden = false
  const show = shown => {
    input.type = shown ? 'text' : 'password'
    button.setAttribute('aria-pressed', String(shown))
    button.textContent = shown ? 'Hide' : 'Show'
  }
  button.addEventListener('click', () => show(input.type === 'password'))
  // A field left as text would be kept by the browser among remembered form values.
  input.form.addEventListener('submit', () => show(false))
}

// What only a script can do is not offered without one.
for (const part of document.querySelectorAll('[data-with-script]')) part.hidden = false

for (const button of document.querySelectorAll('button[data-print]')) {
  button.addEventListener('click', () => window.print())
}

// A list is saved as a file that is made here: it is sent to nobody, and fetched from nowhere.
for (const button of document.querySelectorAll('button[data-save]')) {
  button.addEventListener('click', () => {
    const list = document.getElementById(button.dataset.save)
    const lines = [list.dataset.title, '', ...Array.from(list.children, item => item.textContent.trim()), '']
    const link = document.createElement('a')
    link.download = button.dataset.fileName
    link.href = URL.createObjectURL(new Blob([lines.join('\n')], { type: 'text/plain' }))
    link.click()
    // Not at once: the browser may not have begun to read it.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  })
}

// A second press while the first is under way would send the form twice. The button is not disabled, since a
// disabled button's own value is not sent.
for (const form of document.querySelectorAll('form')) {
  form.addEventListener('submit', event => {
    if (form.ariaBusy === 'true') event.preventDefault()
    form.ariaBusy = 'true'
    // An answer that never comes must not lock the form.
    setTimeout(() => {
      form.ariaBusy = null
    }, 10_000)
  })
}

// A page that comes back from the browser's memory (the back button) can be sent again.
window.addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form')) form.ariaBusy = null
})
