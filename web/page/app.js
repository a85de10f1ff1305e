'use strict';
const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
socket.addEventListener('message', (event) => {
  if (typeof event.data !== 'string') return;
  const { streams } = JSON.parse(event.data);
  if (!streams) return;
  document.getElementById('streams').replaceChildren(...streams.map((stream) => {
    const item = document.createElement('li');
    item.textContent = `${stream.stream}: ${stream.content}`;
    return item;
  }));
});
