/** Paintings that a visitor brings. */

/** Longest side in px that is read: brush strokes are seen, and phones have the memory. */
const LONGEST = 1024;

/**
 * A picture file as pixels, and an address of it for a card.
 * @returns {Promise<{image: ImageData, preview: string}>}
 */
export async function readPainting(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error("this browser cannot read it as a picture. Try JPEG or PNG.");
  }
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
  return { image, preview: URL.createObjectURL(blob) };
}
