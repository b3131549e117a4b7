/** The live picture as compressed video (WebRTC): less data, a little later than the pictures. */

import { post } from "./program.js";

/** How long a connection may take. */
const PATIENCE_MS = 10_000;

/**
 * Have the program send video into an element; resolves with the connection when it plays.
 * @param {HTMLVideoElement} video
 * @param {() => void} onLost called when the connection breaks off later.
 */
export async function watchVideo(video, onLost) {
  const peer = new RTCPeerConnection({ iceServers: [] });
  peer.addTransceiver("video", { direction: "recvonly" });
  const coming = new Promise((resolve) => {
    peer.addEventListener("track", ({ track }) => resolve(track));
  });
  try {
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const { sdp, type } = peer.localDescription;
    const answer = await (await post(JSON.stringify({ sdp, type }), "webrtc")).json();
    await peer.setRemoteDescription(answer);
    video.srcObject = new MediaStream([await coming]);
    // Browsers do not begin by themselves what is not on the page yet.
    await inTime(video.play());
    await inTime(firstFrame(video));
  } catch (error) {
    peer.close();
    throw error;
  }
  peer.addEventListener("connectionstatechange", () => {
    if (["failed", "disconnected", "closed"].includes(peer.connectionState)) onLost();
  });
  return peer;
}

function firstFrame(video) {
  if (video.videoWidth) return Promise.resolve();
  return new Promise((resolve) => {
    video.addEventListener("resize", resolve, { once: true });
  });
}

function inTime(promise) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error("no video came: the network lets none through")), PATIENCE_MS);
  });
  return Promise.race([promise, late]);
}

/** All addresses of this browser are in the offer: there is no later word. */
function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") resolve();
    });
  });
}
