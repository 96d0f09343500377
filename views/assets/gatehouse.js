// Two small comforts; every page works without them.

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
