package @PACKAGE@

import android.graphics.Bitmap

/** Returns a larger bitmap: `val large = Network().use { small.upscaled(it) }`. */
fun Bitmap.upscaled(network: Network): Bitmap = network.upscale(this)
