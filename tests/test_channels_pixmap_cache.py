# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which images and palettes the client has, and which must go first."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import pixmap_cache
from spicemig.channels.palette_cache import CLIENT_PALETTES, PaletteCache
from spicemig.channels.pixmap_cache import PixmapCache, PixmapCacheState
from spicemig.errors import ProtocolError


def cache_of(size: int, *images: tuple[int, int]) -> PixmapCache:
    """A cache of so many pixels with images (id, pixels), added in this order."""
    cache = PixmapCache()
    cache.open(1, size)
    for identity, pixels in images:
        assert cache.add(identity, pixels, lossy=False, keep=()) == []
    return cache


class EvictionTests(SynchronousTestCase):
    """The client's cache never holds more than it asked for."""

    def test_least_recently_used_goes_first(self):
        """The images that were used longest ago make room, as many as needed and no more."""
        cache = cache_of(30, (1, 10), (2, 10), (3, 10))
        cache.find(1)
        evicted = cache.add(4, 15, lossy=False, keep=())
        self.assertEqual([image.id for image in evicted], [2, 3])
        self.assertEqual(cache.ids(), [1, 4])
        self.assertEqual(cache.available, 5)

    def test_kept(self):
        """Images that the same message needs are not evicted; without them there may be no room."""
        cache = cache_of(20, (1, 10), (2, 10))
        self.assertEqual([image.id for image in cache.add(3, 10, lossy=False, keep=(1,))], [2])
        self.assertIsNone(cache.add(4, 15, lossy=False, keep=(3,)))
        self.assertEqual((cache.ids(), cache.available), ([1, 3], 0))

    def test_too_large(self):
        """An image larger than the cache is not kept and evicts nothing."""
        cache = cache_of(20, (1, 10))
        self.assertIsNone(cache.add(2, 21, lossy=False, keep=()))
        self.assertEqual(cache.ids(), [1])

    def test_no_cache(self):
        """A client that asks for nothing, or less, gets nothing to keep."""
        for size in (0, -5):
            self.assertIsNone(cache_of(size).add(1, 1, lossy=False, keep=()))

    def test_number_is_bounded(self):
        """However large a cache the client asks for, we remember only so many ids."""
        self.patch(pixmap_cache, "MAX_IMAGES", 3)
        cache = cache_of(1 << 62, (1, 1), (2, 1), (3, 1))
        self.assertEqual([image.id for image in cache.add(4, 1, lossy=False, keep=())], [1])

    def test_one_cache_per_client(self):
        """The display channels of a client share one cache; the first one says how large it is."""
        cache = cache_of(20)
        cache.open(1, 50)
        self.assertEqual(cache.size, 20)
        with self.assertRaises(ProtocolError):
            cache.open(2, 20)


class TravelTests(SynchronousTestCase):
    """The cache is the same on the target."""

    def test_round_trip(self):
        """Ids, sizes, order, lossy marks and the messages that need them are carried."""
        cache = cache_of(100, (1, 10), (2, 20), (3, 30))
        cache.find(1).lossy = 1
        cache.used([1, 2], channel_id=0, serial=7)
        cache.used([2], channel_id=0, serial=9)
        cache.used([2], channel_id=1, serial=4)
        there = PixmapCache.restore(cache.export_state())
        self.assertEqual((there.ids(), there.size, there.available), ([2, 3, 1], 100, 40))
        self.assertEqual(there.find(1).lossy, 1)
        self.assertEqual([(use.channel_id, use.serial) for use in there.find(2).uses], [(0, 9), (1, 4)])
        self.assertEqual(cache.export_state(), PixmapCache.restore(cache.export_state()).export_state())

    def test_impossible(self):
        """A cache with an image twice, or fuller than it is large, is refused and changes nothing."""
        image = cache_of(10, (1, 10)).find(1)
        for state in (
            PixmapCacheState(cache_id=1, size=30, images=[image, image]),
            PixmapCacheState(cache_id=1, size=9, images=[image]),
            PixmapCacheState(cache_id=1, size=-1, images=[image]),
        ):
            cache = cache_of(5, (7, 5))
            with self.assertRaises(ProtocolError):
                cache.restore_from(state.export_state())
            self.assertEqual((cache.ids(), cache.size), ([7], 5))

    def test_cleared(self):
        """A cleared cache is empty and takes the next size."""
        cache = cache_of(10, (1, 10))
        cache.clear()
        cache.open(2, 20)
        self.assertEqual((len(cache), cache.size, cache.available), (0, 20, 20))


class PaletteTests(SynchronousTestCase):
    """A client keeps 128 palettes."""

    def test_least_recently_used_goes_first(self):
        """When all places are taken, the palette that was used longest ago goes."""
        cache = PaletteCache()
        for identity in range(CLIENT_PALETTES):
            self.assertFalse(cache.use(identity))
            self.assertIsNone(cache.add(identity))
        self.assertTrue(cache.use(0))
        self.assertEqual(cache.add(1000), 1)
        self.assertFalse(cache.use(1))
        self.assertEqual(PaletteCache(cache.ids()).ids(), cache.ids())
        self.assertEqual(cache.ids()[-2:], [0, 1000])
